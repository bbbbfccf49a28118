"""C++ becomes a library once, whole or not at all, where no one else can put another one."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from aebert.errors import AebertError
from aebert.native_build import CACHE_VARIABLE, build_library, user_cache

SOURCE = '#include "number.h"\nextern "C" int number() { return NUMBER; }\n'


def write_sources(folder: Path, number: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    (folder / "number.h").write_text(f"#define NUMBER {number}\n")
    (folder / "number.cpp").write_text(SOURCE)
    return sorted(folder.iterdir())


def test_a_library_is_built_once_and_again_when_a_header_changes(tmp_path: Path) -> None:
    first = build_library(tmp_path / "built", "number", write_sources(tmp_path / "source", 17))
    stamp = first.stat().st_mtime_ns
    assert build_library(tmp_path / "built", "number", write_sources(tmp_path / "source", 17)) == first
    assert first.stat().st_mtime_ns == stamp
    second = build_library(tmp_path / "built", "number", write_sources(tmp_path / "source", 18))
    assert ctypes.CDLL(str(first)).number() == 17
    assert ctypes.CDLL(str(second)).number() == 18
    assert sorted((tmp_path / "built").iterdir()) == sorted([first, second])


def test_a_build_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "source", 1)
    (tmp_path / "source" / "number.cpp").write_text("int broken( {\n\nint again(\n")
    with pytest.raises(AebertError, match=r"compiling source/number.cpp: .* failed: .*error") as refused:
        build_library(tmp_path / "built", "number", sources)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "built").iterdir())


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


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(AebertError, match=r"cannot be made .*; set XDG_CACHE_HOME to a writable folder"):
        user_cache()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
