"""Exploration finds the front among designs that fit, and says that its figures are predictions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from aebert.cli.explore import command
from aebert.design.board import load_board
from aebert.design.board_fit import check_fit
from aebert.design.design_file import DesignFile, read_design_file, write_design_file
from aebert.design.hardware_config import HardwareConfig
from aebert.design.workload import pattern_tiles
from aebert.explore.design_space import Axes
from aebert.explore.predictions import OBJECTIVES, non_dominated
from aebert.explore.shapes import NAMED_SHAPES, parse_shape
from aebert.explore.step import Exploration, explore
from aebert.support.errors import AebertError
from tests.support.command_line import aebert
from tests.support.hardware_configs import hardware_configs

FEW = Axes(batches=(1, 2), tile_fifos=(128,), sums_fifos=(16,), clock_steps=6)
MINILM = NAMED_SHAPES["minilm-l6"]


@pytest.fixture(scope="module")
def exploration() -> Exploration:
    tiles = pattern_tiles(MINILM, 0.5, 4, banks=16)
    return explore(load_board("u200"), MINILM, tiles, length=100, max_length=128, vector_lanes=4, axes=FEW)


@given(st.lists(st.tuples(*[st.integers(0, 8)] * 3), min_size=1, max_size=40, unique=True))
def test_the_front_is_what_nothing_else_beats(rows: list[tuple[int, int, int]]) -> None:
    costs = np.array(rows, np.int64)
    front = set(non_dominated(costs).tolist())
    for index, row in enumerate(costs):
        beaten = any((other <= row).all() and (other < row).any() for other in costs)
        assert (index in front) == (not beaten)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_best_is_the_best_of_all_points(exploration: Exploration, objective: str) -> None:
    name = OBJECTIVES[OBJECTIVES.index(objective)]  # type narrows
    best = exploration.best(name)
    predictions = exploration.predictions
    score = {
        "latency": best.latency_ms / predictions.latency_ms.min(),
        "throughput": predictions.sequences_per_s.max() / best.sequences_per_s,
        "efficiency": predictions.sequences_per_s_per_kdsp.max() / best.sequences_per_s_per_kdsp,
    }
    assert score[objective] <= 1.001


def test_every_point_on_the_front_fits_the_board(exploration: Exploration) -> None:
    board = exploration.board
    for candidate in exploration.ranked("latency"):
        check_fit(candidate.config, board, candidate.compute_units)
        assert candidate.clock_mhz <= board.clock_mhz
        assert all(0 <= share <= 1 for share in candidate.shares)


def test_copies_raise_throughput_but_not_the_speed_of_one_sequence(exploration: Exploration) -> None:
    points, predictions = exploration.points, exploration.predictions
    one = {}
    for index in np.flatnonzero((points.clock_mhz == 300) & (points.compute_units == 1)).tolist():
        one[int(points.kernel[index])] = index
    pairs = [
        (one[int(points.kernel[index])], index)
        for index in np.flatnonzero((points.clock_mhz == 300) & (points.compute_units == 2)).tolist()
    ]
    assert pairs
    for single, double in pairs:
        assert predictions.latency_ms[double] >= 0.999 * predictions.latency_ms[single]
        assert predictions.sequences_per_s[double] <= 2.001 * predictions.sequences_per_s[single]
        assert predictions.sequences_per_s[double] > 1.2 * predictions.sequences_per_s[single]


def test_what_fits_nowhere_is_refused_with_the_overflow() -> None:
    board, bert = load_board("pynq-z2"), NAMED_SHAPES["bert-base"]
    with pytest.raises(AebertError, match=r"needs \d+ (BRAM36|LUT), \d+ more"):
        explore(board, bert, pattern_tiles(bert, 0.0, 1), length=512, max_length=512, axes=FEW)


def test_a_length_beyond_the_maximum_is_refused() -> None:
    with pytest.raises(AebertError, match="length = 129"):
        explore(load_board("u200"), MINILM, pattern_tiles(MINILM, 0.0, 1), length=129, max_length=128, axes=FEW)


@pytest.mark.parametrize("name", NAMED_SHAPES)
def test_a_named_shape_can_be_spelled_out(name: str) -> None:
    shape = NAMED_SHAPES[name]
    spelled = f"layers={shape.layers}, hidden={shape.hidden},heads={shape.heads},ffn={shape.ffn}"
    assert parse_shape(spelled) == parse_shape(name.upper()) == shape


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bert", "no such folder"),
        ("layers=1,hidden=8,heads=2", "ffn is missing"),
        ("layers=1,hidden=8,heads=3,ffn=8", "hidden = 8"),
        ("layers=0,hidden=8,heads=2,ffn=8", "layers = '0'"),
        ("layers=1,layers=1,hidden=8,heads=2,ffn=8", "repeated"),
        ("layers=1,width=8,heads=2,ffn=8", "'width' is not known"),
        ("layers=x,hidden=8,heads=2,ffn=8", "layers = 'x'"),
    ],
)
def test_a_bad_shape_is_refused_by_field(text: str, named: str) -> None:
    with pytest.raises(AebertError, match=re.escape(named)):
        parse_shape(text)


@given(config=hardware_configs(), units=st.integers(1, 8), clock=st.integers(50, 500))
def test_a_design_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, config: HardwareConfig, units: int, clock: int
) -> None:
    path = tmp_path_factory.mktemp("design") / "design.toml"
    design = DesignFile(r'C:\boards\"mine".toml', float(clock), units, config)
    write_design_file(path, design, comment="a test")
    assert read_design_file(path) == design


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text.replace("tokens =", "token ="), "config.token: is not known here; did you mean tokens?"),
        (lambda text: text.replace("[config]", "[config]\nlanes = 3"), "config.lanes"),
        (lambda text: text.replace("tokens = 16", 'tokens = "16"'), "config.tokens"),
        (lambda text: text.replace("tokens = 16", "tokens = 24"), "tokens = 24 must be a power of two"),
        (lambda text: text.replace("compute_units = 1", "compute_units = 0"), "compute_units"),
        (lambda text: text[: text.index("=") + 1], "not valid TOML"),
    ],
)
def test_a_bad_design_file_is_refused_by_field(tmp_path: Path, change: Callable[[str], str], named: str) -> None:
    path = tmp_path / "design.toml"
    board = load_board("u200")
    tiles = pattern_tiles(MINILM, 0.0, 1)
    best = explore(board, MINILM, tiles, length=16, max_length=16, axes=replace(FEW, batches=(1,))).best("latency")
    design = DesignFile("u200", 300.0, 1, replace(best.config, tokens=16, out_lanes=4, in_lanes=8, max_groups=1))
    write_design_file(path, design, comment="a test")
    path.write_text(change(path.read_text()))
    with pytest.raises(AebertError, match=re.escape(named)) as refusal:
        read_design_file(path)
    assert str(path) in str(refusal.value)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_writes_sizes_a_page_and_a_labelled_table(tmp_path: Path) -> None:
    design, page = tmp_path / "design.toml", tmp_path / "front.html"
    shape = "layers=2,hidden=128,heads=4,ffn=512"
    result = _run(
        shape,
        "--board",
        "zcu104",
        "--ratio",
        "0.5",
        "--pattern",
        "vector:2x1",
        "--length",
        "32",
        "-o",
        design,
        "--plot",
        page,
    )
    assert result.exit_code == 0, result.output
    assert "predicted (closed form)" in result.stdout
    assert "measured" not in result.stdout
    written = read_design_file(design)
    assert written.config.out_lanes <= 2
    check_fit(written.config, load_board(written.board), written.compute_units)
    html = page.read_text()
    assert "predicted (closed form)" in html
    assert not re.search(r"<(script|link)[^>]+(src|href)=", html)


def test_the_next_command_keeps_what_was_asked_for() -> None:
    asked = ["--length", 32, "--ratio", 0.5, "--pattern", "vector:4x1", "--objective", "throughput"]
    told = aebert("explore", "layers=2,hidden=32,heads=4,ffn=64", "--board", "pynq-z2", *asked).stderr
    (line,) = [line for line in told.splitlines() if line.startswith("next:")]
    words = line.split()
    for option, value in zip(asked[::2], asked[1::2], strict=True):
        assert words[words.index(str(option)) + 1] == str(value)
    assert "--max-seq" not in words


def test_a_folder_brings_its_own_zeros(tiny_bert: Path) -> None:
    assert _run(tiny_bert, "--board", "u200", "--length", "16").exit_code == 0
    refused = _run(tiny_bert, "--board", "u200", "--ratio", "0.5")
    assert isinstance(refused.exception, AebertError)
    assert "--ratio" in str(refused.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-model", "--board", "u200"),
        ("bert-base", "--board", "u9"),
        ("bert-base", "--board", "u200", "--ratio", "1"),
        ("bert-base", "--board", "u200", "--length", "0"),
        ("bert-base", "--board", "u200", "--ratio", "0.5", "--pattern", "x"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = _run(*arguments, "-o", tmp_path / "design.toml", "--plot", tmp_path / "front.html")
    assert isinstance(result.exception, AebertError)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []
