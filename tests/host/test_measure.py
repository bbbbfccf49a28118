"""Latency: emulated figures are the design's cycles, board figures come from launches that all agree."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import pytest

from aebert.cost_model.run_inputs import from_text
from aebert.models.encoder import MATRIX_NAMES
from aebert.records.database import open_database
from aebert.records.record import RunRecord
from aebert.timing.scheduled_latencies import scheduled_latencies
from codegen.memory_image import build_memory_image
from codegen.packing import pack_matrix
from codegen.project import Project
from host.devices.faults import DeviceFault
from host.devices.open import open_accelerator
from host.emulated.board_process import Fault
from host.emulated.clocks import clock_basis, project_clocks
from host.emulated.pynq_emulator import find_emulated_board
from host.measure import distribution, measure, measure_board, measure_resident, run_record
from tests.support.command_line import aebert
from tests.support.random_quantised import random_quantised_encoder, random_shape

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
    assert clock_basis(project_clocks(tiny_project).schedules) in (record.note or "")


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


@pytest.mark.parametrize("port", ["weights", "results"])
def test_a_wrong_bit_leaves_no_figure(tiny_project: Project, port: str) -> None:
    with open_accelerator(tiny_project, "pynq-emulator:1", known_answer=True) as accelerator:
        find_emulated_board(1).inject(Fault("flip_memory", after=3, port=port, byte=700 if port == "weights" else 4))
        with pytest.raises(DeviceFault, match=r"gave another output than the first|weights read back differ"):
            measure_board(tiny_project, accelerator, [8], warm_up=2, repeats=5)


def test_percentiles_are_of_the_runs_in_milliseconds() -> None:
    found = distribution([number / 1000 for number in range(1, 102)])
    assert (found.runs, found.min, found.median, found.p95, found.max) == (101, 1.0, 51.0, 96.0, 101.0)


def test_every_field_of_a_record_is_of_the_subnet_that_ran_and_not_of_the_projects_own(tiny_project: Project) -> None:
    manifest = tiny_project.manifest
    config = manifest.config
    drawn = random_quantised_encoder(random_shape(3, 16, 2, 64), seed=7, density=0.3)
    other = replace(drawn, subnet_digest="ab" * 32)
    began = datetime.now(timezone.utc).replace(microsecond=0)
    with open_accelerator(tiny_project, "emulator", clocked=True) as accelerator:
        accelerator.load(other, build_memory_image(other, config))
        found = measure_resident(tiny_project, accelerator, [9, 9], 1, 1)
    record = run_record(tiny_project, found)

    assert other.shape != manifest.shape
    assert other.subnet_digest != manifest.subnet_digest
    assert found.cycles is not None
    launch_ms = 1e3 * (found.cycles / manifest.clock_mhz / 1e6)
    assert record.measured_at is not None
    assert began <= datetime.fromisoformat(record.measured_at) <= datetime.now(timezone.utc)
    expected = RunRecord(
        source="emulated",
        design=manifest.top,
        design_digest=manifest.design_digest,
        subnet_digest=other.subnet_digest,
        board=manifest.board,
        part=manifest.part,
        tool="aebert measure",
        tool_version=version("aebert"),
        clock_asked_mhz=manifest.clock_mhz,
        cycles=found.cycles,
        latency_min_ms=launch_ms,
        latency_ms=launch_ms,
        latency_max_ms=launch_ms,
        runs=1,
        sequence_length=9,
        workload="2 sequences of 9, 9 tokens",
        measured_at=record.measured_at,
        note=f"emulator; {found.basis}",
        inputs=record.inputs,
    )
    for each in fields(RunRecord):
        assert getattr(record, each.name) == getattr(expected, each.name), each.name

    assert record.inputs is not None
    inputs = from_text(record.inputs)
    assert (inputs.config, inputs.compute_units, inputs.clock_mhz) == (
        config,
        manifest.compute_units,
        manifest.clock_mhz,
    )
    assert inputs.latencies == scheduled_latencies(config, project_clocks(tiny_project).schedules)
    assert inputs.scheduled == inputs.latencies
    assert inputs.launch is not None
    assert (inputs.launch.shape, inputs.launch.lengths) == (other.shape, (9, 9))
    assert inputs.launch.tiles == tuple(
        tuple(pack_matrix(layer.matrix(name).weight, config.out_lanes, config.in_lanes).tiles for name in MATRIX_NAMES)
        for layer in other.layers
    )
