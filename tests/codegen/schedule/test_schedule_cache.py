"""A file of the kernel is scheduled once: for every project that has it, at one clock, until anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codegen.schedule import project_schedule, schedule_cache
from codegen.schedule.frontend import passes
from codegen.schedule.graph import DesignContext
from codegen.schedule.project_schedule import ScheduledLoop, scheduled_loops
from codegen.schedule.schedule_cache import keep_bytes, kept_bytes, key_of
from tests.codegen.schedule.kernels import CONTEXT, counting_loop, source_text

WORD_BYTES = 64


def write_kernel(project: Path, *, added: int = 3, comment: str = "") -> Path:
    """Two files with a process each, of which the first adds a number to what it reads."""
    (project / "kernel").mkdir(parents=True, exist_ok=True)
    for name, number in (("first", added), ("second", 4)):
        loop = counting_loop(f"out.write(in.read() + {number});", process=name)
        text = f"void {name}(int n, hls::stream<int>& in, hls::stream<int>& out) {{\n{loop}}}\n{comment}"
        (project / "kernel" / f"{name}.cpp").write_text(source_text(text), encoding="utf-8")
    return project


class Counted:
    """What was scheduled since it was last asked, and how often LLVM ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._count(monkeypatch, project_schedule, "_scheduled", lambda graph: f"{graph.process}.{graph.label}")
        self._count(monkeypatch, passes, "_passed", lambda _: "LLVM")

    def _count(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, what: Callable[[Any], str]) -> None:
        real = getattr(module, name)

        def counted(first: Any, *rest: Any) -> Any:
            self.names.append(what(first))
            return real(first, *rest)

        monkeypatch.setattr(module, name, counted)

    def by(self, project: Path, context: DesignContext = CONTEXT, word_bytes: int = WORD_BYTES) -> list[str]:
        self.names.clear()
        self.loops: tuple[ScheduledLoop, ...] = scheduled_loops(project, context, word_bytes, None)
        return sorted(self.names)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path / "cache"))
    return Counted(monkeypatch)


EVERYTHING = ["LLVM", "LLVM", "first.Body", "second.Body"]


def test_a_second_project_with_the_same_files_costs_nothing_and_has_the_same_schedule(
    tmp_path: Path, counted: Counted
) -> None:
    assert counted.by(write_kernel(tmp_path / "one")) == EVERYTHING
    first = counted.loops
    assert [loop.name for loop in first] == ["first.Body", "second.Body"]
    assert counted.by(write_kernel(tmp_path / "elsewhere" / "two", comment="// of another project\n")) == []
    assert counted.loops == first


def test_what_changed_is_scheduled_again_and_nothing_else(tmp_path: Path, counted: Counted) -> None:
    counted.by(write_kernel(tmp_path))
    assert counted.by(write_kernel(tmp_path, added=5)) == ["LLVM", "first.Body"]


@pytest.mark.parametrize(
    "context", [replace(CONTEXT, clock_period_ns=4.0), replace(CONTEXT, part="xck26-sfvc784-2LV-c")]
)
def test_another_clock_or_part_schedules_again_what_llvm_made_before(
    tmp_path: Path, counted: Counted, context: DesignContext
) -> None:
    counted.by(write_kernel(tmp_path))
    assert counted.by(tmp_path, context) == ["first.Body", "second.Body"]
    assert counted.by(tmp_path, CONTEXT, WORD_BYTES // 2) == ["first.Body", "second.Body"]


def test_a_pragma_of_which_the_compiled_code_knows_nothing_counts(tmp_path: Path, counted: Counted) -> None:
    counted.by(write_kernel(tmp_path))
    source = tmp_path / "kernel" / "first.cpp"
    source.write_text(source.read_text(encoding="utf-8").replace("II = 1", "II = 2"), encoding="utf-8")
    assert counted.by(tmp_path) == ["first.Body"]
    assert [loop.asked_ii for loop in counted.loops] == [2, 1]


def test_another_version_of_a_package_or_of_the_scheduler_knows_nothing(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted.by(write_kernel(tmp_path))
    monkeypatch.setattr(schedule_cache, "version", lambda package: f"{package} of tomorrow")
    schedule_cache._scheduler_digest.cache_clear()
    try:
        assert counted.by(tmp_path) == EVERYTHING
    finally:
        schedule_cache._scheduler_digest.cache_clear()


def test_what_is_damaged_is_made_again(tmp_path: Path, counted: Counted) -> None:
    counted.by(write_kernel(tmp_path / "project"))
    first = counted.loops
    for path in (tmp_path / "cache" / "schedules").glob("*.json"):
        path.write_text("{", encoding="utf-8")
    assert counted.by(tmp_path / "project") == ["first.Body", "second.Body"]
    assert counted.loops == first


def test_a_folder_that_others_may_write_to_is_neither_believed_nor_used(tmp_path: Path, counted: Counted) -> None:
    counted.by(write_kernel(tmp_path / "project"))
    first, cache = counted.loops, tmp_path / "cache"
    cache.chmod(0o777)
    assert counted.by(tmp_path / "project") == EVERYTHING
    assert counted.loops == first
    keep_bytes("key", b"")
    cache.chmod(0o700)
    assert kept_bytes("key") is None


def test_facts_that_join_to_one_text_have_keys_of_their_own() -> None:
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("ab", "c", "")}) == 4
