"""The commands in a row, as a user gives them: model -> subnet -> project -> emulator -> verified -> report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aebert.cli.main import main
from codegen.build_plan import content_digest

SENTENCES = [
    "the cat sat on the mat",
    "a dog ran to the cat",
    "the dog sat",
    "a cat ran on a mat to the dog",
    "the dog ran on the mat\tthe cat sat on a dog",
    "a cat and the dog sat on a mat the cat ran to the dog on the mat a dog ran",
] * 8
SIZES = ["--tokens", "8", "--out-lanes", "2", "--in-lanes", "4", "--max-seq", "32"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "sentences.txt"
    path.write_text("\n".join(SENTENCES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def subnet(tiny_classifiers: dict[str, Path], text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("path") / "subnet"
    arguments = ["--ratio", "0.5", "--pattern", "vector:2x1/4", "--compensate", "--text", str(text)]
    assert main(["prune", str(tiny_classifiers["roberta"]), "-o", str(folder), *arguments]) == 0
    return folder


def _generate(subnet: Path, text: Path, project: Path, board: str = "u200", *more: str) -> int:
    arguments = ["generate", str(subnet), "--board", board, "-o", str(project), "--text", str(text), *SIZES, *more]
    return main(arguments)


@pytest.fixture(scope="module")
def project(subnet: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "project"
    assert _generate(subnet, text, folder) == 0
    return folder


def test_the_project_is_verified_and_reported(project: Path, text: Path, tmp_path: Path) -> None:
    assert main(["build", str(project)]) == 0
    assert main(["verify", str(project), "--text", str(text)]) == 0
    page = tmp_path / "report.html"
    assert main(["report", str(project), "-o", str(page), "--text", str(text)]) == 0
    html = page.read_text(encoding="utf-8")
    for section in ("ladder", "layer-error", "sparsity", "tile-map", "passes", "files"):
        assert f'id="{section}"' in html
    assert "verified on emulator" in html


def test_generating_twice_gives_the_same_bytes(subnet: Path, text: Path, project: Path, tmp_path: Path) -> None:
    assert _generate(subnet, text, tmp_path / "again") == 0
    names = {path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()}
    built = {path.relative_to(project) for path in (project / "build").rglob("*") if path.is_file()} - names
    assert names == {path.relative_to(project) for path in project.rglob("*") if path.is_file()} - built
    for name in names:
        assert content_digest(project / name) == content_digest(tmp_path / "again" / name), name


def test_the_project_holds_what_vitis_and_the_host_need(project: Path) -> None:
    for name in (
        "kernel/kernel.cpp",
        "kernel/engine.cpp",
        "testbench.cpp",
        "hls.tcl",
        "link.cfg",
        "Makefile",
        "memory/weights.bin",
        "golden/index.txt",
        "model/config.json",
        "quantised/quantised.safetensors",
    ):
        assert (project / name).is_file(), name
    manifest = json.loads((project / "manifest.json").read_text())
    assert manifest["board"] == "u200"
    assert set(manifest["banks"]) == {"pass_table", "weights", "indices", "parameters", "embeddings", "results"}
    assert manifest["registers"][0] == {"name": "pass_table", "offset": 16, "bits": 64}


@pytest.mark.parametrize("board", ["u280", "kv260", "pynq-z2"])
def test_other_boards_generate_with_their_own_sizes_and_verify(
    subnet: Path, text: Path, tmp_path: Path, board: str
) -> None:
    arguments = ["generate", str(subnet), "--board", board, "-o", str(tmp_path / "project"), "--text", str(text)]
    assert main([*arguments, "--max-seq", "32"]) == 0
    assert main(["verify", str(tmp_path / "project"), "--text", str(text)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "u999"], "board 'u999' is not known"),
        (["--board", "../u200"], "is not known"),
        (["--board", "u200", "--tokens", "3"], "tokens = 3 must be a power of two"),
        (["--board", "u200", "--in-lanes", "64"], "must be a multiple of in_lanes = 64"),
        (["--board", "u200", "--max-seq", "4096"], "at most 512"),
        (["--board", "u200", "--clock-mhz", "-5"], "'--clock-mhz'"),
        (["--board", "u200", "--compute-units", "0"], "'--compute-units'"),
        (["--board", "u200", "--text", "nowhere.txt"], "nowhere.txt: cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    subnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["generate", str(subnet), "-o", str(tmp_path / "project"), *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert error.startswith("aebert: error: ")
    assert list(tmp_path.iterdir()) == []


def test_sizes_come_from_an_exploration(
    subnet: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "design.toml"
    assert main(["explore", str(subnet), "--board", "kv260", "--length", "32", "-o", str(design)]) == 0
    arguments = ["generate", str(subnet), "--config", str(design), "-o", str(tmp_path / "p"), "--text", str(text)]
    assert main([*arguments, "--board", "kv260"]) == 0
    assert json.loads((tmp_path / "p" / "manifest.json").read_text())["board"] == "kv260"
    assert main([*arguments, "--board", "u200", "--force"]) == 2
    assert "field 'board' is kv260, not u200" in capsys.readouterr().err
    assert main([*arguments, "--board", "kv260", "--tokens", "8", "--force"]) == 2
    assert "leave the size options out" in capsys.readouterr().err


def test_a_design_that_overflows_a_board_says_which_resource_and_by_how_much(
    subnet: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--tokens", "128", "--out-lanes", "2", "--in-lanes", "8", "--max-seq", "128"]
    arguments = ["generate", str(subnet), "--board", "pynq-z2", "-o", str(tmp_path / "p"), "--text", str(text), *sizes]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "board pynq-z2: the design needs" in error
    assert "more than the" in error
    assert not (tmp_path / "p").exists()
