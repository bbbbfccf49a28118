"""``aebert estimate`` adds up, says what it rests on, and refuses what it cannot estimate in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aebert.boards import load_board
from aebert.cli.main import main
from aebert.cost_model.breakdown import PASS_KINDS, Breakdown, break_down
from aebert.design.config import HardwareConfig
from aebert.design.cycles import count_cycles
from aebert.design.design import Design
from aebert.design.design_file import DesignFile, write_design_file
from aebert.design.fit import RESOURCES, check_fit
from aebert.design.sizes import Sizes
from aebert.design.workload import Workload, pattern_tiles
from tests.conftest import TINY_FFN, TINY_HIDDEN
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


def test_every_figure_lies_in_its_interval_and_latency_is_the_least_certain() -> None:
    _, found = _break_down()
    for interval in (found.cycles, found.clock_mhz, found.latency_ms, *(use.used for use in found.resources)):
        assert interval.low <= interval.mean <= interval.high
    assert found.latency_ms.mean == pytest.approx(found.cycles.mean / found.clock_mhz.mean / 1e3)
    assert found.latency_ms.high / found.latency_ms.mean > found.cycles.high / found.cycles.mean
    assert set(found.basis) == {"cycles", "clock", *RESOURCES}


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
