"""The report is one file that draws itself in a browser, without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from codegen.project import load_project
from host.open import open_accelerator
from host.report.data import ReportData, collect
from host.report.page import render_report
from host.verify.ladder import verify_project
from tests.support.projects import CALIBRATION, write_tiny_project

CHARTS = ("layer-error", "error-sources", "sparsity", "tile-map", "passes", "timeline", "shares")


@pytest.fixture(scope="module")
def data(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    project = load_project(write_tiny_project(tiny_models["bert"], tmp_path_factory.mktemp("report") / "project"))
    with open_accelerator(project, "emulator") as accelerator:
        verification = verify_project(project, accelerator, [*CALIBRATION, "the cat ran to the dog on the mat " * 5])
    return collect(project, verification)


@pytest.fixture(scope="module")
def page(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    return path


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


def test_the_tile_map_shows_every_nonzero_vector(data: ReportData) -> None:
    weight = data.project.quantised.layers[0].ffn_in.weight
    lanes = data.project.manifest.config.out_lanes
    assert (data.tile_map == weight.reshape(-1, lanes, weight.shape[1]).any(axis=1)).all()


def test_nothing_on_the_page_comes_from_elsewhere(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|iframe)[^>]+src=|<link[^>]+href=\"(?!data:)", html)
    assert "default-src 'none'" in html


def test_a_browser_draws_every_chart_and_reports_no_error(page: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
            "--enable-logging=stderr", "--virtual-time-budget=15000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    for name in CHARTS:
        drawn = re.search(rf'id="{name}"[^>]*class="[^"]*js-plotly-plot', done.stdout)
        assert drawn is not None, name
    assert done.stdout.count('class="main-svg"') >= len(CHARTS)
