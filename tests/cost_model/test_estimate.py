"""``aebert estimate`` adds up, says what it rests on, and refuses what it cannot estimate in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aebert.cli.main import main
from aebert.cost_model.breakdown import PASS_KINDS, Breakdown, break_down
from aebert.cost_model.fit_records import FittedRuns, fit_records, fitted_quantity
from aebert.cost_model.fitted_model import FittedModel
from aebert.cost_model.fitted_quantities import CLOCK_PERIOD, QUANTITIES
from aebert.cost_model.launch_overhead import TRANSFER_START_MS
from aebert.cost_model.leave_one_out import leave_one_out
from aebert.cost_model.observations import Observations
from aebert.cost_model.predictor import clock_of
from aebert.cost_model.scheduled_kernel import ScheduledKernel
from aebert.design.board import load_board
from aebert.design.board_fit import RESOURCES, check_fit
from aebert.design.design import Design
from aebert.design.design_file import DesignFile, write_design_file
from aebert.design.hardware_config import HardwareConfig
from aebert.design.launch_cycles import count_cycles
from aebert.design.operator_areas import operator_areas
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES
from aebert.design.size_arrays import Sizes
from aebert.design.workload import Workload, pattern_tiles
from tests.conftest import TINY_FFN, TINY_HIDDEN
from tests.support.fitted_runs import CLOCK_MHZ, emulated_runs, stored
from tests.support.random_quantised import random_shape

SHAPE = random_shape(2, 64, 2, 128)
CONFIG = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=32, max_groups=2)


def _break_down(board: str = "u200", compute_units: int = 1) -> tuple[Design, Breakdown]:
    design = Design(CONFIG, load_board(board), 250.0, compute_units)
    return design, break_down(design, SHAPE, pattern_tiles(SHAPE, 0.5, 4), (32,))


def test_the_passes_add_up_to_the_closed_forms_cycles() -> None:
    _, found = _break_down()
    counted = count_cycles(Sizes.of(CONFIG), Workload(SHAPE, pattern_tiles(SHAPE, 0.5, 4), (32,)))
    # U200's memory keeps up with 32 bytes per cycle, all but its gaps between bursts.
    assert found.cycles.mean == pytest.approx(float(counted.total[0]), rel=0.02)
    assert [step.kind for step in found.passes] == list(PASS_KINDS)
    assert sum(step.cycles for step in found.passes) == pytest.approx(found.cycles.mean)
    assert sum(step.share for step in found.passes) == pytest.approx(1.0)
    assert sum(step.passes for step in found.passes) == 2 + 2 * (8 + 2 * SHAPE.heads)
    assert all(0 <= step.lanes_busy <= 1 for step in found.passes)


def test_the_units_add_up_to_what_the_design_is_counted_to_take() -> None:
    design, found = _break_down(compute_units=2)
    total = check_fit(CONFIG, design.board, 2).resources.total
    for use in found.resources:
        assert sum(unit.resources[use.name] for unit in found.units) == pytest.approx(
            float(getattr(total, use.name)[0])
        )
        assert use.used.mean == pytest.approx(2 * float(getattr(total, use.name)[0]))
        assert use.available == getattr(design.board.available, use.name)


def test_a_schedule_says_how_many_registers_there_are() -> None:
    design, counted = _break_down()
    latencies = DEFAULT_LATENCIES
    scheduled = ScheduledKernel(latencies, 260.0, {"layer_norm.Normalise": 50_000})
    found = break_down(design, SHAPE, pattern_tiles(SHAPE, 0.5, 4), (32,), scheduled=scheduled)
    use = {each.name: each.used.mean for each in found.resources}
    before = {each.name: each.used.mean for each in counted.resources}
    resources = check_fit(CONFIG, design.board).resources
    kept = before["ff"] - float(np.max(resources.layer_norm.registers))
    assert use["ff"] == pytest.approx(kept + operator_areas().placed_ff.middle * 50_000)
    assert {name: count for name, count in use.items() if name != "ff"} == {
        name: count for name, count in before.items() if name != "ff"
    }
    assert sum(unit.resources["ff"] for unit in found.units) == pytest.approx(use["ff"])
    assert found.basis["ff"].startswith("registers between stages as scheduled")
    assert "scheduled" not in found.basis["lut"]


def test_every_figure_lies_in_its_interval_and_latency_is_the_least_certain() -> None:
    _, found = _break_down()
    for interval in (found.cycles, found.clock_mhz, found.latency_ms, *(use.used for use in found.resources)):
        assert interval.low <= interval.mean <= interval.high
    assert found.latency_ms.mean == pytest.approx(found.cycles.mean / found.clock_mhz.mean / 1e3)
    assert found.latency_ms.high / found.latency_ms.mean > found.cycles.high / found.cycles.mean
    assert set(found.basis) == {"cycles", "clock", "launch", "transfer", *RESOURCES}


def test_launch_and_transfers_stand_beside_the_latency_where_a_board_has_said_them() -> None:
    design, found = _break_down("u280")
    assert found.launch_ms is not None
    assert found.transfer_ms is not None
    assert 0.010 < found.launch_ms.low < found.launch_ms.mean < found.launch_ms.high < 0.013
    # Three transfers of a few kB each: what starts them is nearly all of it.
    assert found.transfer_ms.mean == pytest.approx(3 * TRANSFER_START_MS, rel=0.05)
    longest = break_down(design, SHAPE, pattern_tiles(SHAPE, 0.5, 4), (8,)).transfer_ms
    assert longest is not None
    assert longest.mean < found.transfer_ms.mean
    _, unknown = _break_down("u50")
    assert unknown.launch_ms is not None
    assert unknown.launch_ms.high / unknown.launch_ms.low > 2
    _, embedded = _break_down("zcu102")
    assert embedded.launch_ms is None
    assert embedded.transfer_ms is None
    assert "no run on a PS-DDR board" in embedded.basis["launch"]


def test_a_fitted_model_says_the_clock_with_what_crowds_the_board() -> None:
    reached = 0.8
    runs = [
        replace(run, source="hw", clock_achieved_mhz=CLOCK_MHZ * reached * (1 + 0.01 * (number % 3 - 1)))
        for number, run in enumerate(emulated_runs((1.0, 1.0), noise=0.0))
    ]
    model = fit_records(stored(runs), "u200").model
    design = Design(CONFIG, load_board("u200"), CLOCK_MHZ)
    tiles = pattern_tiles(SHAPE, 0.5, 4)
    assumed, fitted = break_down(design, SHAPE, tiles, (32,)), break_down(design, SHAPE, tiles, (32,), model)
    assert fitted.clock_mhz.mean == pytest.approx(CLOCK_MHZ * reached, rel=0.05)
    assert fitted.clock_mhz.low < CLOCK_MHZ * reached < fitted.clock_mhz.high
    assert "fitted to 10 runs of 5 designs" in fitted.basis["clock"]
    assert assumed.clock_mhz.mean == pytest.approx(CLOCK_MHZ)
    assert fitted.launch_ms is None
    assert "fitted model has seen launches" in fitted.basis["launch"]
    # Of two designs that ask for the same clock, the one that crowds the board is expected to be slower.
    quantity = model.quantities[CLOCK_PERIOD]
    assert quantity.terms == ("asked", "crowded")
    crowded = FittedModel(
        model.board, model.sources, model.toolkit_version, {CLOCK_PERIOD: replace(quantity, coefficients=(1.0, 1.0))}
    )
    full = HardwareConfig(
        tokens=16, out_lanes=4, in_lanes=16, max_hidden=384, max_ffn=1536, max_length=128, max_groups=8
    )
    roomy, tight = (clock_of(Design(config, load_board("kv260"), 200.0), crowded)[0] for config in (CONFIG, full))
    assert tight > 1.02 * roomy


def test_the_command_prints_the_same_figures_as_json(
    tiny_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = HardwareConfig(
        tokens=16, out_lanes=4, in_lanes=8, max_hidden=TINY_HIDDEN, max_ffn=TINY_FFN, max_length=32, max_groups=2
    )
    write_design_file(tmp_path / "design.toml", DesignFile("u200", 300.0, 1, config), comment="test")
    arguments = ["estimate", str(tiny_models["bert"]), "--config", str(tmp_path / "design.toml"), "--length", "20"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "predicted, nothing is measured" in text
    assert "What the figures rest on" in text
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["latency_ms"]["low"] <= facts["latency_ms"]["mean"] <= facts["latency_ms"]["high"]
    assert facts["length"] == 20
    assert facts["clock_asked_mhz"] == 300.0
    assert f"{facts['latency_ms']['mean']:.3f} (" in text
    assert [step["kind"] for step in facts["passes"]] == list(PASS_KINDS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a subnet has no board; give --board"),
        (["--board", "u200", "--length", "4000"], "the design takes at most"),
        (["--board", "u200", "--model", "missing.json"], "missing.json: not found"),
        (["--config", "missing.toml"], "missing.toml"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_one_line(
    tiny_models: dict[str, Path], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["estimate", str(tiny_models["bert"]), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def _dsp_model(factor: float, spread: float) -> FittedModel:
    """Twelve designs whose routed DSP slices are ``factor`` of the structure's count, give or take ``spread``."""
    random = np.random.default_rng(5)
    predicted = np.exp(random.uniform(5, 8, 12))
    measured = predicted * factor * np.exp(random.uniform(-spread, spread, 12))
    groups = {
        "stage": ("routed",) * 12,
        "tool": ("Vivado 2023.2",) * 12,
        "board": ("u200",) * 12,
        "design": tuple(f"design {number}" for number in range(12)),
    }
    names = tuple(f"{number:064x}" for number in range(12))
    observations = Observations(("predicted",), predicted[:, None], measured, groups, names)
    quantity = QUANTITIES["dsp"]
    runs = FittedRuns(quantity, observations, leave_one_out(observations, quantity.prior, "design"))
    return FittedModel("u200", (), "test", {"dsp": fitted_quantity(runs)})


def _dsps(model: FittedModel | None) -> tuple[float, float, float, str]:
    design = Design(CONFIG, load_board("u200"), 250.0)
    found = break_down(design, SHAPE, pattern_tiles(SHAPE, 0.5, 4), (32,), model)
    (use,) = (use for use in found.resources if use.name == "dsp")
    return use.used.mean, use.used.low, use.used.high, found.basis["dsp"]


def test_a_fit_that_agrees_with_a_tighter_interval_of_the_structure_leaves_it_alone() -> None:
    mean, low, high, basis = _dsps(_dsp_model(0.97, 0.08))
    assert (mean, low, high) == _dsps(None)[:3]
    assert "12 designs agree with it" in basis


def test_a_fit_that_contradicts_the_structure_replaces_it() -> None:
    own = _dsps(None)
    mean, low, high, basis = _dsps(_dsp_model(1.4, 0.02))
    assert mean == pytest.approx(1.4 * own[0], rel=0.05)
    assert low > own[2]
    assert high / low < 1.6
    assert basis.startswith("fitted to 12 runs of 12 designs")


def test_too_few_designs_for_a_promise_are_said_in_text_and_json() -> None:
    model = _dsp_model(1.4, 0.02)
    dsp = model.quantities["dsp"]
    few = replace(dsp, bounds=tuple(replace(bound, assumed=True) for bound in dsp.bounds))
    assert _dsps(replace(model, quantities={"dsp": few}))[3].endswith("interval assumed: 12 designs")
