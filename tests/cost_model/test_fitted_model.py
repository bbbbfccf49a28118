"""The JSON of a fitted model: it comes back as it was, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cost_model.fitted_model import (
    FittedModel,
    FittedQuantity,
    from_json,
    quantity_of,
    read_model,
    to_json,
    write_model,
)
from aebert.cost_model.intervals import LEVELS, Bound
from aebert.cost_model.robust_fit import Fit, Level
from aebert.support.errors import AebertError

_labels = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=8)
_small = st.floats(1e-6, 5.0)


@st.composite
def quantities(draw: st.DrawFn) -> FittedQuantity:
    terms = draw(st.lists(_labels, min_size=1, max_size=3, unique=True))
    levels = {
        name: Level(draw(st.dictionaries(_labels, st.floats(-2, 2), max_size=3)), draw(_small))
        for name in draw(st.lists(_labels, max_size=2, unique=True))
    }
    size = len(terms) + sum(len(level.effects) for level in levels.values())
    root = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(size, size))
    fitted = Fit(tuple(terms), np.array([draw(_small) for _ in terms]), levels, root @ root.T, draw(_small))
    bounds = [Bound(level, draw(_small), draw(st.booleans())) for level in LEVELS]
    held_out = draw(st.dictionaries(_labels, st.floats(-5, 5), max_size=4))
    return quantity_of(fitted, bounds, 3, held_out, {"one": (0.1, -0.2)})


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(_labels, quantities(), min_size=1, max_size=2), _labels)
def test_a_model_comes_back_from_json_as_it_was(content: dict[str, FittedQuantity], board: str) -> None:
    model = FittedModel(board, ("emulated", "hw"), "0.1.0", content)
    again = from_json(to_json(model), "model.json")
    assert again == model
    for name, quantity in content.items():
        amounts = np.full((2, len(quantity.terms)), 7.0)
        before, after = quantity.predict(amounts), again.quantities[name].predict(amounts)
        assert np.array_equal(before.median, after.median)
        assert np.array_equal(before.high, after.high)
        assert (before.low <= before.median).all()
        assert (before.median <= before.high).all()


def small_model() -> FittedModel:
    fitted = Fit(("x",), np.ones(1), {"board": Level({"u200": 0.1}, 0.2)}, np.eye(2) * 0.01, 0.05)
    quantity = quantity_of(fitted, [Bound(level, 2.0, assumed=False) for level in LEVELS], 5, {"ab" * 32: 0.01}, {})
    return FittedModel("u200", (), "0.1.0", {"cycles": quantity})


def test_the_interval_is_narrower_for_a_board_that_was_measured() -> None:
    quantity = small_model().quantities["cycles"]
    known = quantity.predict(np.array([[100.0]]), {"board": ("u200",)})
    unknown = quantity.predict(np.array([[100.0]]))
    assert known.median[0] == pytest.approx(100 * np.exp(0.1))
    assert known.high[0] / known.low[0] < unknown.high[0] / unknown.low[0]
    with pytest.raises(AebertError, match=r"no interval of level 0\.5; it has 0\.8, 0\.9, 0\.95"):
        quantity.predict(np.array([[100.0]]), level=0.5)


def spoil(**changes: object) -> str:
    content = json.loads(to_json(small_model()))
    quantity = content["quantities"]["cycles"]
    for name, value in changes.items():
        (content if name in content else quantity)[name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON"),
        ("[]", "file"),
        ("{}", "board"),
        (spoil(schema_version=3), "schema_version is 3, this toolkit reads 2"),
        (spoil(coefficients=[-1.0]), "above 0"),
        (spoil(coefficients=[1.0, 2.0]), "1 terms, but 2 coefficients"),
        (spoil(noise="NaN"), "noise: must be a number"),
        (spoil(covariance=[[1.0]]), "2 rows and columns"),
        (spoil(covariance=[[1.0, 5.0], [5.0, 1.0]]), "covariance is not one"),
        (spoil(levels={"board": {"effects": {"u200": 0.1}, "spread": -1.0}}), "at least 0"),
        (spoil(held_out={"a": "x"}), "held_out"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "model.json"
    file.write_text(text)
    with pytest.raises(AebertError) as refusal:
        read_model(file)
    line = str(refusal.value)
    assert words in line
    assert line.startswith(str(file))
    assert line.count("\n") == 0
    assert "aebert fit-cost" in line


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="not found; make it with aebert fit-cost"):
        read_model(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AebertError, match="not UTF-8"):
        read_model(tmp_path / "binary.json")


def test_a_written_model_is_read_back(tmp_path: Path) -> None:
    write_model(tmp_path / "model.json", small_model())
    assert read_model(tmp_path / "model.json") == small_model()
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
