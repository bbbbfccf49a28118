"""The reports are single files that draw themselves in a browser, without a network, for eyes, keyboards and paper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aebert.design.pass_work import dense_macs
from aebert.report.hardware_data import KINDS
from aebert.report.project_data import ReportData, collect
from aebert.report.project_page import render_report
from aebert.report.run_data import RunData, collect_run
from aebert.report.run_page import render_run
from aebert.search.run.summary import RefinedScore, read_summary
from aebert.support.errors import AebertError
from codegen.project import load_project
from host.devices.open import open_accelerator
from host.verify.ladder import verify_project
from tests.support.browser import Page, find_browser, open_browser
from tests.support.command_line import aebert
from tests.support.projects import CALIBRATION, write_tiny_project
from tests.support.random_quantised import random_shape
from tests.support.tiny_run import write_tiny_run

PROJECT_CHARTS = (
    "layer-error", "error-sources", "sparsity", "tile-map", "passes", "timeline", "shares", "fifos", "cycles",
    "roofline", "resources",
)  # fmt: skip
RUN_CHARTS = ("pareto", "progress", "ratios", *(f"sensitivity-{number}" for number in range(6)), "prediction")


@pytest.fixture(scope="module")
def data(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    project = load_project(write_tiny_project(tiny_models["bert"], tmp_path_factory.mktemp("report") / "project"))
    with open_accelerator(project, "emulator") as accelerator:
        verification = verify_project(project, accelerator, [*CALIBRATION, "the cat ran to the dog on the mat " * 5])
    return collect(project, verification)


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with a cost model and measurements."""
    return write_tiny_run(tiny_bert, tmp_path_factory.mktemp("search") / "run")


@pytest.fixture(scope="module")
def run_data(run: Path) -> RunData:
    return collect_run(run)


@pytest.fixture(scope="module")
def pages(data: ReportData, run_data: RunData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in ("project", "run")}
    found["project"].write_text(render_report(data, found["project"]), encoding="utf-8")
    found["run"].write_text(render_run(run_data, found["run"]), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    executable = find_browser()
    if executable is None:
        pytest.skip("Chromium is not installed")
    with open_browser(executable) as page:
        yield page


# What the figures are.


def test_steps_and_multiply_accumulates_are_those_of_the_packed_tiles(data: ReportData) -> None:
    config, counts = data.project.manifest.config, data.project.image.counts
    matmuls = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    groups = config.groups(data.length)
    steps = sum(layer.steps[name] for layer in data.work for name in matmuls)
    assert steps == counts.tile_count * groups
    # Two products of attention, hidden x keys for every query, in each layer.
    shape = data.project.manifest.shape
    attention = sum(layer.macs["scores"] + layer.macs["context"] for layer in data.work)
    assert attention == shape.layers * 2 * shape.hidden * data.length**2
    # Of the dense model, for which nothing is pruned here.
    assert data.dense_macs == data.macs


def test_the_dense_models_multiply_accumulates_are_those_of_removed_heads_too() -> None:
    shape = random_shape(2, 32, 4, 64)
    dense = dense_macs(shape, [9, 4])
    assert list(dense) == ["query", "key", "value", "scores", "context", "attention_output", "ffn_in", "ffn_out"]
    assert (dense["key"], dense["ffn_out"]) == (32 * 32 * 13, 32 * 64 * 13)
    assert dense["scores"] == dense["context"] == 32 * (9 * 9 + 4 * 4)


def test_the_tile_map_shows_every_nonzero_vector(data: ReportData) -> None:
    weight = data.project.quantised.layers[0].ffn_in.weight
    lanes = data.project.manifest.config.out_lanes
    assert (data.tile_map == weight.reshape(-1, lanes, weight.shape[1]).any(axis=1)).all()


def test_cycles_by_kind_of_pass_add_up_on_both_sides(data: ReportData) -> None:
    kinds = data.hardware.kinds
    assert [kind.kind for kind in kinds] == list(KINDS)
    assert sum(kind.timed for kind in kinds) == data.timed.result.cycles
    assert sum(kind.predicted for kind in kinds) == pytest.approx(data.hardware.breakdown.cycles.mean)
    spread = data.hardware.breakdown.cycles
    assert data.timed.result.cycles is not None
    assert spread.low <= data.timed.result.cycles <= spread.high


def test_no_pass_is_above_the_rooflines_flat_roof(data: ReportData) -> None:
    hardware = data.hardware
    rates = [hardware.rate(kind.macs, kind.timed) for kind in hardware.kinds if kind.macs]
    assert rates
    assert max(rates) <= hardware.peak_macs
    assert hardware.port_bytes <= hardware.board_bytes
    # Every stored tile and index is read once; headers and the rest of the ports come on top.
    assert 0 < sum(kind.weight_bytes for kind in hardware.kinds) <= hardware.launch_bytes


def test_resources_are_those_of_the_dies(data: ReportData) -> None:
    for resource in data.hardware.resources:
        assert resource.available <= resource.total
        assert list(resource.by_slr) == [slr.name for slr in data.hardware.board.slrs]
        assert resource.used.low <= resource.used.mean <= resource.used.high
        assert resource.limit <= resource.available


def test_the_best_so_far_never_gets_worse_and_ends_at_the_best_score(run_data: RunData) -> None:
    scores = [tried.score for tried in run_data.best_so_far]
    assert scores == sorted(scores)
    assert scores[-1] == max(tried.score for tried in run_data.finished)
    assert all(not tried.lost for tried in run_data.best_so_far)


def test_the_front_is_beaten_by_nothing_that_was_tried(run_data: RunData) -> None:
    def costs(trial: int) -> tuple[float, float, int]:
        tried = next(each for each in run_data.finished if each.trial == trial)
        return (-tried.score, run_data.position(tried).value, tried.kept_weights)

    everyone = [costs(tried.trial) for tried in run_data.finished]
    front = [costs(tried.trial) for tried in run_data.finished if tried.front]
    assert front
    for own in front:
        assert not any(other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in everyone)


def test_ratios_of_layers_average_to_the_overall_ratio(run_data: RunData) -> None:
    for tried in run_data.summary.tried:
        assert sum(tried.layer_ratios) / len(tried.layer_ratios) == pytest.approx(tried.ratio)
    assert run_data.record.overall_ratio == pytest.approx(run_data.best.ratio)


def test_a_measured_latency_stands_beside_both_predictions(run_data: RunData) -> None:
    assert run_data.measured
    for tried in run_data.measured:
        assert tried.measured is not None
        assert tried.before is not None
        assert tried.now is not None
        assert run_data.position(tried).value == tried.measured.ms
        # The cost model has learnt from these measurements since.
        assert abs(tried.now.mean - tried.measured.ms) < abs(tried.before.mean - tried.measured.ms)


def test_sensitivities_start_at_nothing_and_cover_every_matrix(run_data: RunData) -> None:
    found = run_data.sensitivity
    assert found is not None
    assert found.fitted_to is None
    assert len(found.sites) == 12
    assert {names for _, names in found.sites} == {
        (name,) for name in ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    }
    assert all(row[0] == 0.0 for row in found.drops)


def test_without_a_surrogate_sensitivities_are_fitted_and_say_so(tiny_bert: Path, tmp_path: Path) -> None:
    run = write_tiny_run(tiny_bert, tmp_path / "run", sampler="random", measured=False)
    (found,) = read_summary(run).sensitivities
    assert found.fitted_to is not None
    assert f"Fitted: additive model of the scores of {found.fitted_to} candidates" in render_run(
        collect_run(run), run / "report.html"
    )


# What is refused.


def test_a_score_says_which_rows_it_is_of(run_data: RunData, tmp_path: Path) -> None:
    """Scores before refining are of all scoring rows; a refined subnet is judged on those that it was not fitted to."""
    best, summary = run_data.best, run_data.summary

    def words(rows: int) -> str:
        refined = RefinedScore(best.score / 2, {"rows": rows}, 1.0)
        tried = tuple(replace(each, refined=refined) if each == best else each for each in summary.tried)
        return render_run(replace(run_data, summary=replace(summary, tried=tried)), tmp_path / "page.html")

    apart, same = words(summary.rows - 1), words(summary.rows)
    assert f", judged on {summary.rows - 1} scoring rows that it was not fitted to" in apart
    assert f"before refining, on all {summary.rows} scoring rows (" in apart
    assert "not fitted to" not in same
    assert "before refining (" in same


def test_a_run_without_results_is_refused_with_a_remedy(run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text((run / "run.json").read_text())
    refused = aebert("report", tmp_path, "-o", tmp_path / "report.html")
    assert refused.exit_code == 2
    assert "no results yet; finish the search with aebert search ... --resume" in refused.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("best", 999, "no trial 999"), ("tried", "none", "tried"), ("schema_version", 7, "schema_version is 7")],
)
def test_a_damaged_summary_is_refused_by_field(
    run: Path, tmp_path: Path, field: str, value: object, words: str
) -> None:
    content = json.loads((run / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps({**content, field: value}))
    with pytest.raises(AebertError, match=words) as refused:
        read_summary(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_command_writes_the_report_of_a_run(run: Path, tmp_path: Path) -> None:
    finished = aebert("--json", "report", run, "-o", tmp_path / "report.html")
    assert finished.exit_code == 0, finished.stderr
    assert finished.json["best"] == read_summary(run).best
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


# What a browser makes of them.


@pytest.mark.parametrize("name", ["project", "run"])
def test_nothing_on_a_page_comes_from_elsewhere(pages: dict[str, Path], name: str) -> None:
    html = pages[name].read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|iframe)[^>]+src=|<link[^>]+href=\"(?!data:)", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize(("name", "charts"), [("project", PROJECT_CHARTS), ("run", RUN_CHARTS)])
def test_a_browser_draws_every_chart_with_its_table_and_source(
    browser: Page, pages: dict[str, Path], name: str, charts: tuple[str, ...]
) -> None:
    browser.colours("light")
    browser.resize(1200, 900)
    browser.open(pages[name])
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    found = browser.run("[...document.querySelectorAll('.plot')].map((plot) => plot.id)")
    assert found == list(charts)
    assert browser.run("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg'))")
    labels = "[...document.querySelectorAll('.plot')].every((plot) => plot.tabIndex === 0 && plot.ariaLabel)"
    assert browser.run(labels)
    rows = "p.closest('.scroll').parentElement.querySelectorAll('tbody tr').length"
    counts = browser.run(f"[...document.querySelectorAll('.plot')].map((p) => {rows})")
    assert isinstance(counts, list)
    assert min(counts) > 0
    sources = browser.run(
        "[...document.querySelectorAll('section:has(.plot)')].every((s) => s.querySelector('.source'))"
    )
    assert sources


def test_the_arrow_keys_read_the_points_of_a_chart(browser: Page, pages: dict[str, Path], run_data: RunData) -> None:
    browser.open(pages["run"])
    browser.run("document.getElementById('progress').focus()")
    assert browser.run("getComputedStyle(document.getElementById('progress')).outlineStyle") == "solid"
    reading = "document.getElementById('progress-reading').textContent"
    browser.press("ArrowRight")
    first = browser.run(reading)
    browser.press("ArrowRight")
    second = browser.run(reading)
    assert first != second
    ordinary = [tried for tried in run_data.finished if not tried.uniform]
    assert f"trial {ordinary[0].trial}, " in str(first)
    assert f"score {ordinary[1].score:.5f}" in str(second)
    browser.press("Escape")
    assert browser.run(reading) == ""


def test_the_arrow_keys_cross_a_heat_map(browser: Page, pages: dict[str, Path], run_data: RunData) -> None:
    browser.open(pages["run"])
    browser.run("document.getElementById('ratios').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        browser.press(key)
    ratio = run_data.record.matrix_ratios[1]["key"]
    found = browser.run("document.getElementById('ratios-reading').textContent")
    assert found == f"layer 1 key; ratio {ratio:.4f}"


def test_the_timeline_zooms_and_pans_by_keyboard(browser: Page, pages: dict[str, Path]) -> None:
    browser.open(pages["project"])
    browser.run("document.getElementById('timeline').focus()")
    width = "(() => { const [low, high] = document.getElementById('timeline')._fullLayout.xaxis.range;"
    before = browser.number(width + " return high - low; })()")
    browser.press("+")
    assert browser.number(width + " return high - low; })()") == pytest.approx(before / 2)
    # The last interval lies beyond the first layer: reading it brings it into view.
    browser.press("ArrowRight")
    browser.press("End")
    assert browser.number(width + " return low; })()") > 0
    browser.press("0")
    assert browser.number(width + " return high - low; })()") == pytest.approx(before)


@pytest.mark.parametrize("name", ["project", "run"])
def test_charts_follow_a_dark_page_and_print_on_white(browser: Page, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name])
    ink = "document.querySelector('.plot .xtick text').style.fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.colours("light")
    assert (browser.run(paper), browser.run(ink)) == ("rgb(255, 255, 255)", "rgb(28, 28, 28)")
    browser.colours("dark")
    assert (browser.run(paper), browser.run(ink)) == ("rgb(22, 22, 22)", "rgb(236, 236, 236)")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(ink) == "rgb(28, 28, 28)"
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(ink) == "rgb(236, 236, 236)"
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
    browser.colours("light")


@pytest.mark.parametrize("name", ["project", "run"])
def test_nothing_runs_over_the_edge_of_a_phone(browser: Page, pages: dict[str, Path], name: str) -> None:
    browser.resize(390, 844, phone=True)
    browser.open(pages[name])
    assert browser.number("document.documentElement.scrollWidth") <= 390
    # A heat map of many columns is scrolled sideways in its own box, so that its numbers stay legible.
    wide = "[...document.querySelectorAll('.scroll')].filter((box) => box.getBoundingClientRect().right > 390).length"
    assert browser.number(wide) == 0
    sizes = browser.run(
        "[...document.querySelectorAll('.heatmap-label text')].map((text) => parseFloat(text.style.fontSize))"
    )
    assert isinstance(sizes, list)
    assert len(sizes) >= 12
    assert min(sizes) >= 10
    browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert browser.number("document.documentElement.scrollWidth") <= 390
    browser.resize(1200, 900)
