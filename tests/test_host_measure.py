"""Latency: emulated figures are the design's cycles, board figures come from launches that all agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aebert.records import open_database
from codegen.project import Project
from host.board_process import Fault
from host.faults import DeviceFault
from host.measure import distribution, measure, measure_board
from host.open import open_accelerator
from host.pynq_emulator import find_emulated_board
from tests.support.command_line import aebert

pytest_plugins = ["tests.support.host_fixtures"]


def test_emulated_latency_is_the_designs_cycles_at_its_clock_and_is_stored_as_such(
    tiny_project: Project, tmp_path: Path
) -> None:
    database = tmp_path / "runs.sqlite"
    done = aebert("measure", tiny_project.directory, "--tokens", 20, "--json", "--store", "--database", database)
    assert done.exit_code == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["source"] == "emulated"
    assert figures["cycles"] > 1000
    assert figures["kernel_ms"]["median"] == pytest.approx(figures["cycles"] / 250e3)
    assert figures["upload_ms"] is None
    runs = open_database(str(database))
    (stored,) = runs.query()
    runs.close()
    record = stored.record
    assert (record.source, record.cycles, record.sequence_length) == ("emulated", figures["cycles"], 20)
    assert record.design_digest == tiny_project.manifest.design_digest
    assert "operator table" in (record.note or "")


def test_longer_sequences_take_more_cycles(tiny_project: Project) -> None:
    cycles = [measure(tiny_project, "emulator", [length], 1, 1).cycles or 0 for length in (8, 16, 32)]
    assert cycles == sorted(set(cycles))


def test_an_emulated_board_counts_the_cycles_that_the_emulator_counts(tiny_project: Project) -> None:
    alone, behind_pynq = (measure(tiny_project, device, [8, 20], 1, 1) for device in ("emulator", "pynq-emulator:1"))
    assert behind_pynq.cycles == alone.cycles
    assert (behind_pynq.device, behind_pynq.source) == ("pynq-emulator:1", "emulated")
    assert behind_pynq.kernel_ms == alone.kernel_ms


def test_kernel_time_is_apart_from_transfers_and_the_first_launch_does_not_count(tiny_project: Project) -> None:
    with open_accelerator(tiny_project, "pynq-emulator:1", known_answer=True) as accelerator:
        find_emulated_board(1).inject(Fault("slow", seconds=0.4))
        found = measure_board(tiny_project, accelerator, [8, 8], warm_up=2, repeats=5)
    assert found.cold_ms is not None
    assert found.cold_ms > 400
    assert found.kernel_ms.runs == 5
    assert found.kernel_ms.max < 400
    assert found.upload_ms is not None
    assert found.upload_ms.median < found.cold_ms


@pytest.mark.parametrize("port", ["weights", "output"])
def test_a_wrong_bit_leaves_no_figure(tiny_project: Project, port: str) -> None:
    with open_accelerator(tiny_project, "pynq-emulator:1", known_answer=True) as accelerator:
        find_emulated_board(1).inject(Fault("flip_memory", after=3, port=port, byte=700 if port == "weights" else 4))
        with pytest.raises(DeviceFault, match=r"gave another output than the first|weights read back differ"):
            measure_board(tiny_project, accelerator, [8], warm_up=2, repeats=5)


def test_percentiles_are_of_the_runs_in_milliseconds() -> None:
    found = distribution([number / 1000 for number in range(1, 102)])
    assert (found.runs, found.min, found.median, found.p95, found.max) == (101, 1.0, 51.0, 96.0, 101.0)
