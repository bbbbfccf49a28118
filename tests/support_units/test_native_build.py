"""C++ becomes a library once, whole or not at all, where no one else can put another one."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import pytest

from aebert.support import native_build
from aebert.support.errors import AebertError
from aebert.support.native_build import CACHE_VARIABLE, build_library, user_cache

SLEEP = time.sleep
SOURCE = '#include "number.h"\nextern "C" int number() { return NUMBER; }\n'


def sources(number: int) -> dict[str, bytes]:
    return {"source/number.h": b"#define NUMBER %d\n" % number, "source/number.cpp": SOURCE.encode()}


def test_a_library_is_built_once_and_again_when_a_header_changes(tmp_path: Path) -> None:
    first = build_library(tmp_path / "built", "number", sources(17))
    stamp = first.stat().st_mtime_ns
    assert build_library(tmp_path / "built", "number", sources(17)) == first
    assert first.stat().st_mtime_ns == stamp
    second = build_library(tmp_path / "built", "number", sources(18))
    assert ctypes.CDLL(str(first)).number() == 17
    assert ctypes.CDLL(str(second)).number() == 18
    assert sorted((tmp_path / "built").iterdir()) == sorted([first, second])


def test_only_the_units_that_are_named_are_compiled(tmp_path: Path) -> None:
    both = {**sources(17), "other.cpp": b'#include "source/number.cpp"\n'}
    joined = build_library(tmp_path / "built", "number", both, units=("other.cpp",))
    assert ctypes.CDLL(str(joined)).number() == 17
    with pytest.raises(AebertError, match="linking the number"):
        build_library(tmp_path / "built", "number", both)  # the function is in both
    assert build_library(tmp_path / "built", "number", both, units=("source/number.cpp",)) != joined


def test_a_build_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    broken = {**sources(1), "source/number.cpp": b"int broken( {\n\nint again(\n"}
    with pytest.raises(AebertError, match=r"compiling source/number.cpp: .* failed: .*error") as refused:
        build_library(tmp_path / "built", "number", broken)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "built").iterdir())


@pytest.mark.parametrize("name", ["/tmp/escaped.h", "../escaped.h"])
def test_a_source_does_not_leave_the_folder_that_is_compiled(tmp_path: Path, name: str) -> None:
    with pytest.raises(AebertError, match="must be a plain relative path"):
        build_library(tmp_path / "built", "number", {**sources(1), name: b""})


def await_end(group: int) -> None:
    for _ in range(500):  # what was killed may take a moment to be gone
        os.killpg(group, 0)
        SLEEP(0.01)


def test_a_compiler_that_is_interrupted_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow-cxx"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo slow; exit; }}\necho $$ > {tmp_path}/pid\nsleep 60\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))

    def interrupt(seconds: float) -> None:
        if (tmp_path / "pid").is_file():
            raise KeyboardInterrupt
        SLEEP(seconds)

    monkeypatch.setattr(native_build.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_library(tmp_path / "built", "number", sources(1))
    with pytest.raises(ProcessLookupError):
        await_end(int((tmp_path / "pid").read_text()))


def test_the_users_cache_is_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = user_cache()
    assert folder == tmp_path / "cache" / "aebert"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(AebertError, match="others may write to it; remove it, or set XDG_CACHE_HOME"):
        user_cache()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "shared"))
    assert user_cache() == tmp_path / "shared"
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(AebertError, match=f"others may write to it; remove it, or set {CACHE_VARIABLE}"):
        user_cache()


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(AebertError, match=r"cannot be made .*; set XDG_CACHE_HOME to a writable folder"):
        user_cache()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
