"""Fitting from run records: it finds what the runs say, keeps a better model, and says what it lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aebert.cli.main import main
from aebert.cost_model.fit_records import compare, fit_records, require_no_worse
from aebert.cost_model.fitted_model import read_model
from aebert.cost_model.fitted_quantities import COSIM_CYCLES, CYCLES, routed
from aebert.cost_model.record_facts import facts_of
from aebert.cost_model.run_inputs import from_text, to_text
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES
from aebert.records.database import open_database
from aebert.records.record import RunRecord
from aebert.report.cost_model_fit import report_lines
from aebert.support.errors import AebertError
from codegen.project import Project
from host.measure import measure, run_record
from tests.support.fitted_runs import CLOCK_MHZ, emulated_runs, stored

pytest_plugins = ["tests.support.host_fixtures"]
TRUE_FACTORS = (1.0, 1.3)


def test_the_factors_that_made_the_runs_are_found() -> None:
    runs = stored(emulated_runs(TRUE_FACTORS))
    fitted = fit_records(runs, "u200")
    quantity = fitted.model.quantities[CYCLES]
    engine, other, _ = quantity.coefficients
    assert other / engine == pytest.approx(1.3, rel=0.03)
    assert set(quantity.held_out) == {each.digest for each in runs}
    assert fitted.model.runs == {each.digest for each in runs}
    assert np.median(fitted.runs[0].held_out.errors) < 0.02
    estimate = quantity.predict(fitted.runs[0].observations.amounts, {"board": ("u200",) * len(runs)})
    assert estimate.median == pytest.approx(fitted.runs[0].observations.measured, rel=0.03)


def test_runs_of_another_board_help_one_that_has_few() -> None:
    elsewhere = emulated_runs(TRUE_FACTORS, board="u280")
    here = emulated_runs(TRUE_FACTORS, lengths=(64,), seed=1)[:1]
    model = fit_records(stored([*elsewhere, *here]), "u200").model
    observations = facts_of(stored(emulated_runs(TRUE_FACTORS, lengths=(40,), noise=0.0))).of[CYCLES]
    amounts = np.array([fact.amounts for fact in observations])
    measured = np.array([fact.measured for fact in observations])
    estimate = model.quantities[CYCLES].predict(amounts, {"board": ("u200",) * len(amounts)})
    structure_alone = amounts[:, :2].sum(axis=1)
    assert np.abs(estimate.median / measured - 1).max() < 0.02
    assert np.abs(structure_alone / measured - 1).max() > 0.03
    assert (estimate.low < measured).all()
    assert (measured < estimate.high).all()


def test_milliseconds_on_a_board_teach_the_launch_overhead() -> None:
    cycles = emulated_runs((1.0, 1.0), lengths=(8, 64), noise=0.0)
    overhead_ms = 0.05
    on_board = [
        replace(run, source="hw", cycles=None, latency_ms=run.cycles / CLOCK_MHZ / 1e3 + overhead_ms)
        for run in cycles
        if run.cycles is not None
    ]
    quantity = fit_records(stored([*cycles, *on_board]), "u200").model.quantities[CYCLES]
    assert quantity.coefficients[2] == pytest.approx(overhead_ms, rel=0.15)


def test_a_run_on_a_board_is_explained_by_the_schedule_until_a_synthesis_is_stored() -> None:
    (emulated,) = emulated_runs((1.0, 1.0), lengths=(8,), noise=0.0)[:1]
    assert emulated.inputs is not None
    inputs = replace(from_text(emulated.inputs), latencies=None)
    slow = replace(DEFAULT_LATENCIES, engine_interval=3)
    first = replace(emulated, source="hw", inputs=to_text(inputs))
    known = replace(first, inputs=to_text(replace(inputs, scheduled=slow)), note="measured where clang is installed")

    def engine(*records: RunRecord) -> list[float]:
        return [fact.amounts[0] for fact in facts_of(stored(records)).of[CYCLES]]

    (at_one,) = engine(first)
    assert engine(first, known) == [3 * at_one, 3 * at_one]
    report = RunRecord(source="csynth", design="aebert", design_digest=first.design_digest, report_sha256=64 * "a")
    whole = replace(report, scope="design", lut=1, resource_stage="estimated")
    loop = replace(report, scope="loop", module="engine", loop="Steps", initiation_interval=2, pipeline_depth=40)
    assert engine(known, whole, loop) == [2 * at_one]


def test_csynth_is_paired_with_what_came_of_the_same_design() -> None:
    def record(number: int, source: str, **figures: object) -> RunRecord:
        return RunRecord(source=source, design=f"kernel{number}", **figures)  # type: ignore[arg-type]

    records = []
    for number in range(4):
        lut = 1000 * (number + 1)
        records += [
            record(number, "csynth", cycles_max=5000 + number, lut=lut, ff=lut, resource_stage="estimated"),
            record(number, "cosim", cycles=5000 + number),
            record(number, "hw", lut=lut * 6 // 10, resource_stage="routed", board="u200"),
        ]
    # Two synthesis results of one design that differ: which one became the RTL is not known.
    records += [record(9, "csynth", cycles_max=count) for count in (100, 900)] + [record(9, "cosim", cycles=100)]
    model = fit_records(stored(records), "u200").model
    assert set(model.quantities) == {COSIM_CYCLES, routed("lut")}
    assert len(model.quantities[COSIM_CYCLES].held_out) == 4
    estimate = model.quantities[routed("lut")].predict(np.array([[2000.0, 2000.0]]))
    assert estimate.median == pytest.approx(1200, rel=0.1)


def test_only_the_chosen_sources_count() -> None:
    runs = stored([*emulated_runs(TRUE_FACTORS), *emulated_runs((2.0, 2.0), source="cosim")])
    model = fit_records(runs, "u200", ["emulated"]).model
    emulated = {each.digest for each in runs if each.record.source == "emulated"}
    assert model.runs == emulated
    assert model.sources == ("emulated",)


def test_no_run_is_refused_with_how_to_get_one() -> None:
    with pytest.raises(AebertError) as refusal:
        fit_records(stored([]), "u200")
    line = str(refusal.value)
    assert "one is enough to begin with: aebert measure PROJECT --store" in line
    assert "\n" not in line


@pytest.mark.parametrize("count", [1, 4])
def test_runs_of_one_design_are_enough_and_the_interval_says_so(count: int) -> None:
    runs = emulated_runs(TRUE_FACTORS, lengths=(8, 16, 32, 48, 64), noise=0.0)
    mine = [run for run in runs if run.design_digest == runs[0].design_digest][:count]
    quantity = fit_records(stored(mine), "u200").model.quantities[CYCLES]
    assert quantity.designs == 1
    facts = facts_of(stored(mine)).of[CYCLES]
    amounts = np.array([fact.amounts for fact in facts])
    measured = np.array([fact.measured for fact in facts])
    groups = {level: [fact.groups.get(level) for fact in facts] for level in quantity.levels}
    estimate = quantity.predict(amounts, groups)
    assert estimate.assumed
    assert quantity.basis(estimate.assumed) == f"fitted to {len(mine)} runs of one design, interval assumed: one design"
    assert estimate.median == pytest.approx(measured, rel=0.02)
    assert ((estimate.low < measured) & (measured < estimate.high)).all()


def test_a_model_for_a_board_without_runs_is_refused() -> None:
    with pytest.raises(AebertError, match="board u280: no usable run of it"):
        fit_records(stored(emulated_runs(TRUE_FACTORS)), "u280")


def test_a_worse_model_is_refused_and_a_better_one_is_not() -> None:
    good, bad = emulated_runs(TRUE_FACTORS), emulated_runs(TRUE_FACTORS, noise=0.3, lengths=(16, 48), seed=3)
    everything = stored([*good, *bad])
    from_good = fit_records(stored(good), "u200").model
    from_bad = fit_records(stored(bad), "u200").model
    with pytest.raises(AebertError, match=r"model\.json: the model there is better: cycles .* over 20 runs"):
        require_no_worse(from_good, from_bad, everything, "model.json")
    require_no_worse(from_bad, from_good, everything, "model.json")
    (comparison,) = compare(from_good, from_bad, everything)
    assert comparison.runs == 20
    assert comparison.old < comparison.new


def test_a_model_that_lost_a_quantity_or_is_of_another_board_is_refused() -> None:
    model = fit_records(stored(emulated_runs(TRUE_FACTORS)), "u200").model
    with pytest.raises(AebertError, match="has cycles, the new one has not"):
        require_no_worse(model, replace(model, quantities={}), [], "model.json")
    with pytest.raises(AebertError, match="of board u200, not u280"):
        require_no_worse(model, replace(model, board="u280"), [], "model.json")


def test_the_report_names_the_designs_left_out_and_what_is_only_assumed() -> None:
    lines = "\n".join(report_lines(fit_records(stored(emulated_runs(TRUE_FACTORS)), "u200")))
    assert "all 5" in lines
    assert "intervals assumed (Student's t), for 5 designs promise nothing: 90% needs 9, 95% needs 19" in lines


def test_what_measure_stores_is_enough_to_predict_the_run(tiny_project: Project) -> None:
    records = [run_record(tiny_project, measure(tiny_project, "emulator", [length], 1, 1)) for length in (8, 32)]
    facts = facts_of(stored(records)).of[CYCLES]
    assert [fact.measured for fact in facts] == [record.cycles for record in records]
    for fact in facts:
        assert sum(fact.amounts) == pytest.approx(fact.measured, rel=0.1)  # tiny launches, where 100 cycles are 4 %


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_the_command_writes_model_and_plot_and_keeps_a_better_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, model, plot = tmp_path / "runs.sqlite", tmp_path / "u200.json", tmp_path / "plot.html"
    runs = open_database(str(database))
    runs.add(emulated_runs(TRUE_FACTORS))
    fitted = ("fit-cost", "--board", "u200", "--database", database, "-o", model)
    assert run(*fitted, "--plot", plot) == 0
    assert "all 5" in capsys.readouterr().out
    before = model.read_text()
    page = plot.read_text()
    assert "predicted without its design" in page
    assert 'src="http' not in page

    runs.add(emulated_runs((1.0, 9.0), noise=1.0, lengths=(16,), source="cosim"))
    runs.close()
    assert run(*fitted, "--source", "cosim") == 2
    assert "the model there is better" in capsys.readouterr().err
    assert model.read_text() == before
    assert run(*fitted, "--source", "cosim", "--force", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["quantities"]["cycles"]["runs"] == 5
    assert read_model(model).sources == ("cosim",)


def test_the_command_refuses_an_unknown_source_and_an_empty_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, model = tmp_path / "runs.sqlite", tmp_path / "u200.json"
    fitted = ("fit-cost", "--board", "u200", "--database", database, "-o", model)
    assert run(*fitted) == 2
    assert "no run database" in capsys.readouterr().err
    open_database(str(database)).close()
    assert run(*fitted, "--source", "board") == 2
    assert "--source 'board': unknown" in capsys.readouterr().err
    assert run(*fitted) == 2
    assert "one is enough to begin with" in capsys.readouterr().err
    assert not model.exists()
