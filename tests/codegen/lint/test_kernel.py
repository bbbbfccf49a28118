"""The rendered kernel follows its own rules, and is C++ that Vitis HLS's front end (clang) accepts."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from aebert.cli.lint import command
from aebert.design.hardware_config import HardwareConfig
from aebert.support.errors import AebertError
from codegen.lint import lint_files, lint_project
from tests.support.paths import SUPPORT
from tests.support.small_project import SMALL_CONFIG, small_project_text

LARGE_CONFIG = HardwareConfig(
    tokens=64, out_lanes=4, in_lanes=16, max_hidden=768, max_ffn=3072, max_length=128, max_groups=2
)
NARROW_CONFIG = replace(SMALL_CONFIG, word_bytes=32)
HLS_HEADERS = SUPPORT / "hls_headers"
CONFIGS = {"small": SMALL_CONFIG, "BERT-base": LARGE_CONFIG, "narrow": NARROW_CONFIG}


def kernel_text(config: HardwareConfig) -> dict[str, str]:
    return {name: text for name, text in small_project_text(config).items() if name.startswith("kernel/")}


def write(directory: Path, config: HardwareConfig = SMALL_CONFIG) -> Path:
    for name, text in small_project_text(config).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


@pytest.mark.parametrize("name", CONFIGS)
def test_the_rendered_kernel_is_clean(name: str) -> None:
    report = lint_files(kernel_text(CONFIGS[name]))
    assert [str(finding) for finding in report.findings] == []
    # The lint has seen the kernel: a parser that gives up early would find nothing either.
    assert report.loops > 40
    assert report.pragmas > 80


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("type = ram_s2p", "type = ram_s3p", "pragma-option"),
        ("variable = accumulators", "variable = accumulator", "pragma-variable"),
        ("\nSteps:\n", "\n", "loop-name"),
        ("#pragma HLS PIPELINE II = 1\n", "", "loop-pipeline"),
        ("const bool works = goes", "const float works = goes", "floating-point"),
    ],
)
def test_an_error_put_into_the_engine_is_found(old: str, new: str, rule: str) -> None:
    files = kernel_text(SMALL_CONFIG)
    assert old in files["kernel/engine.cpp"]
    files["kernel/engine.cpp"] = files["kernel/engine.cpp"].replace(old, new)
    assert rule in {finding.rule for finding in lint_files(files).findings}


def test_the_command_prints_findings_and_exits_with_1(tmp_path: Path) -> None:
    project = write(tmp_path)
    assert CliRunner().invoke(command, [str(project)]).exit_code == 0
    engine = project / "kernel" / "engine.cpp"
    engine.write_text(engine.read_text().replace("type = ram_s2p", "type = ram_s3p", 1))
    result = CliRunner().invoke(command, [str(project)])
    assert result.exit_code == 1
    assert "kernel/engine.cpp:" in result.stdout
    assert "ram_s3p" in result.stdout


def test_a_folder_without_a_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="give a generated project"):
        lint_project(tmp_path)


@pytest.fixture(scope="session")
def ap_types() -> Path:
    """The open ap_types headers (ap_int.h) inside the installed hls4ml."""
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or spec.origin is None:
        pytest.skip("hls4ml, which brings ap_int.h, is not installed")
    folder = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    assert (folder / "ap_int.h").is_file()
    return folder


# Of this design each source stands alone, as for synthesis; of the others all share what their headers cost.
ALONE = "small"


@pytest.mark.parametrize("name", CONFIGS)
def test_clang_parses_every_source_as_synthesis_does(name: str, ap_types: Path, tmp_path: Path) -> None:
    clang = shutil.which("clang++")
    if clang is None:
        pytest.skip("clang++ is not installed")
    kernel = write(tmp_path, CONFIGS[name]) / "kernel"
    sources = sorted(kernel.glob("*.cpp"))
    if name != ALONE:
        together = kernel / "together.cpp"
        together.write_text("".join(f'#include "{each.name}"\n' for each in sources))
        sources = [together]
    for source in sources:
        parsed = subprocess.run(
            [
                *(clang, "-fsyntax-only", "-std=c++14", "-D__SYNTHESIS__"),
                *("-Wall", "-Wextra", "-Wshadow", "-Wno-unknown-pragmas", "-Wno-unused-label"),
                *("-isystem", str(HLS_HEADERS), "-isystem", str(ap_types)),
                str(source),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert parsed.returncode == 0, parsed.stderr
        assert parsed.stderr == ""
