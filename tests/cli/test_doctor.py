"""``aebert doctor`` says what works, from looking."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from aebert.cli import doctor_checks, failures
from aebert.cli.doctor_checks import Check, run_checks
from tests.support.command_line import aebert


def found() -> dict[str, Check]:
    return {check.name: check for check in run_checks()}


def put_on_path(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_machine_that_runs_these_tests_can_verify_projects() -> None:
    finished = aebert("doctor", "--json")
    checks = finished.json["checks"]
    assert isinstance(checks, list)
    assert finished.json["works"] is True
    assert {"torch", "C++ compiler", "run database", "Vitis HLS"} <= {check["name"] for check in checks}
    assert "ok    C++ compiler" in aebert("doctor").stdout


def test_without_a_compiler_the_answer_is_no_and_says_what_it_would_enable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    finished = aebert("doctor")
    assert finished.exit_code == 1
    assert "FAIL  C++ compiler" in finished.stdout
    assert "enables: emulation" in finished.stdout
    assert "missing: C++ compiler" in finished.stdout


def test_a_compiler_that_cannot_compile_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(
        tmp_path, "half-cxx", 'test "$1" = --version && echo half 1.0 && exit 0\necho broken >&2; exit 1', monkeypatch
    )
    monkeypatch.setenv("CXX", "half-cxx")
    check = found()["C++ compiler"]
    assert not check.works
    assert check.found == "half 1.0: broken"


def test_vitis_on_the_path_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not found()["Vitis HLS"].works
    put_on_path(tmp_path, "vitis_hls", "exit 0", monkeypatch)
    assert found()["Vitis HLS"].works
    assert found()["Vitis HLS"].found == str(tmp_path / "vitis_hls")


def test_cards_are_counted_as_xbutil_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "Devices present\\n|BDF             |Shell|\\n[0000:3b:00.1]    u200\\n[0000:af:00.1]    u200\\n"
    put_on_path(tmp_path, "xbutil", f"printf '{table}'", monkeypatch)
    assert doctor_checks._count_cards(str(tmp_path / "xbutil")) == 2


def test_a_missing_extra_names_its_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = doctor_checks.Extra(("click", "no_such_module"), "nothing")
    check = doctor_checks._extra("odd", extra)
    assert (check.works, check.found) == (False, "missing: no_such_module")
    assert "pip install 'aebert[odd]'" in check.remedy


def test_a_database_that_cannot_be_opened_is_told_from_one_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEBERT_DATABASE", str(tmp_path / "new.sqlite"))
    assert doctor_checks._database().works
    (tmp_path / "bad.sqlite").write_text("no database at all, but long enough to be looked at as one" * 20)
    monkeypatch.setenv("AEBERT_DATABASE", str(tmp_path / "bad.sqlite"))
    assert not doctor_checks._database().works


def test_doctor_knows_the_same_extras_as_the_errors_do() -> None:
    named = {module: name for name, extra in doctor_checks.EXTRAS.items() for module in extra.modules}
    assert named == dict(failures.EXTRAS)
