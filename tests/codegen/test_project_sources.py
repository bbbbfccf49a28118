"""Only what was generated is compiled and run, unless somebody says that the change is theirs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from tests.support.command_line import aebert

pytest_plugins = ["tests.support.host_fixtures"]

ATTACK = "__attribute__((constructor)) static void attack() { __builtin_trap(); }\n"


@pytest.fixture
def project(tiny_project: Project, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_project.directory, tmp_path / "project"))


def add_a_source(project: Path) -> None:
    (project / "emulation" / "extra.cpp").write_text(ATTACK)


def add_a_header_below(project: Path) -> None:
    (project / "kernel" / "deep").mkdir()
    (project / "kernel" / "deep" / "types.h").write_text(ATTACK)


def change_a_source(project: Path) -> None:
    path = project / "kernel" / "softmax.cpp"
    path.write_text(path.read_text() + ATTACK)


def remove_a_source(project: Path) -> None:
    (project / "kernel" / "softmax.cpp").unlink()


CHANGES = [
    (add_a_source, r"emulation/extra\.cpp: is not listed in manifest\.json"),
    (add_a_header_below, r"kernel/deep/types\.h: is not listed in manifest\.json"),
    (change_a_source, r"kernel/softmax\.cpp: changed"),
    (remove_a_source, r"kernel/softmax\.cpp: is missing"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
@pytest.mark.parametrize("command", ["verify", "emulate", "build", "run", "measure", "report"])
def test_no_command_compiles_what_was_not_generated(
    project: Path, command: str, change: Callable[[Path], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codegen.toolchains.emulator.build_library", lambda *_: pytest.fail("compiled"))
    change(project)
    words = ["--text", "the cat"] if command == "run" else []
    done = aebert(command, project, *words)
    assert done.exit_code == 2
    with pytest.raises(AebertError, match=f"{said} .*--trust-changes if the change is yours"):
        load_project(project).sources()
    assert "--trust-changes" in done.stderr


def test_a_change_that_is_trusted_runs_and_is_recorded_in_the_result(project: Path, tmp_path: Path) -> None:
    path = project / "kernel" / "softmax.cpp"
    path.write_text(path.read_text() + "// mine\n")
    emulated = aebert("emulate", project, "--trust-changes", "--json")
    assert emulated.exit_code == 0, emulated.stderr
    assert emulated.json["trusted_changes"] == ["kernel/softmax.cpp"]
    measured = aebert(
        "measure", project, "--trust-changes", "--store", "--database", tmp_path / "runs.sqlite", "--json"
    )
    assert measured.json["trusted_changes"] == ["kernel/softmax.cpp"]
    shown = aebert("runs", "export", "--database", tmp_path / "runs.sqlite", "-o", tmp_path / "runs.jsonl")
    assert shown.exit_code == 0
    assert "trusted changes: kernel/softmax.cpp" in json.loads((tmp_path / "runs.jsonl").read_text())["note"]
    untouched = aebert("emulate", load_project(project).directory, "--json")
    assert untouched.exit_code == 2


def test_links_and_special_files_among_the_sources_are_refused_even_when_trusted(project: Path) -> None:
    (project / "kernel" / "secret.h").symlink_to("/etc/passwd")
    with pytest.raises(AebertError, match=r"secret\.h: a symbolic link among the sources"):
        load_project(project, trust_changes=True).sources()
    (project / "kernel" / "secret.h").unlink()
    os.mkfifo(project / "kernel" / "secret.h")
    with pytest.raises(AebertError, match=r"secret\.h: is a FIFO"):
        load_project(project, trust_changes=True).sources()


def test_sources_that_somebody_changed_may_have_names_of_their_own_in_each_file(project: Path) -> None:
    from codegen.toolchains.emulator import build_emulator

    for name in ("engine", "softmax"):
        file = project / "kernel" / f"{name}.cpp"
        file.write_text(f"{file.read_text()}\n[[maybe_unused]] static int mine() {{ return 0; }}\n")
    assert build_emulator(load_project(project, trust_changes=True).sources()).is_file()


def test_a_library_that_a_project_brings_along_is_never_loaded(project: Path) -> None:
    """Whatever its name: builds lie in the user's own cache, under the digest of all that they are made from."""
    library = load_project(project).directory / "build"
    library.mkdir(exist_ok=True)
    from codegen.toolchains.emulator import build_emulator

    built = build_emulator(load_project(project).sources())
    assert not built.is_relative_to(project)
    assert built.parent.stat().st_mode & 0o022 == 0
    assert len(built.stem.rpartition("-")[2]) == 64
    (library / built.name).write_bytes(b"not a library")
    assert aebert("emulate", project).exit_code == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top", "abort"),
        ("board", "u200\n[connectivity]"),
        ("clock_mhz", "abc"),
        ("clock_mhz", 1e308),
        ("files", {"../victim": "0" * 64}),
        ("files", {"/etc/passwd": "0" * 64}),
        ("registers", []),
        ("banks", {}),
        ("config", {}),
        ("counts", {"tile_count": "x"}),
        ("compute_units", 10**30),
    ],
)
def test_a_manifest_says_nothing_that_could_be_acted_on(project: Path, field: str, value: object) -> None:
    path = project / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    done = aebert("run", project, "--text", "the cat")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "manifest.json: " in done.stderr


def test_vendor_tools_run_the_makefile_and_scripts_that_were_generated(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("vitis_hls",):
        (tmp_path / name).write_text("#!/bin/sh\ntouch ran\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (project / "hls.tcl").write_text("exec touch victim\n")
    done = aebert("build", project, "--tool", "vitis_hls")
    assert (done.exit_code, "hls.tcl: changed" in done.stderr) == (2, True), done.stderr
    (project / "GNUmakefile").write_text("all:\n\ttouch victim\n")  # which make takes before Makefile
    (project / "hls.tcl").unlink()
    done = aebert("build", project, "--tool", "vitis_hls")
    assert (done.exit_code, "GNUmakefile: is not listed" in done.stderr) == (2, True), done.stderr
