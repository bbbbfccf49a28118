"""The calibration split, and the metrics of GLUE."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.support.errors import AebertError
from aebert.tasks import Example, compute_metrics, find_task, split_train
from aebert.tasks.split import default_calibration_rows, text_key

# Few words, so that many rows repeat a text.
ROWS = st.lists(
    st.builds(Example, st.sampled_from(["a", "b", "A ", "c", "d", "e", "f", "g", "h"]), st.integers(0, 2)),
    min_size=2,
    max_size=60,
)
PAIRS = st.lists(
    st.builds(Example, st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), st.floats(0, 5)),
    min_size=2,
    max_size=40,
)


@given(train=st.one_of(ROWS, PAIRS), share=st.floats(0, 0.99), seed=st.integers(0, 3))
def test_the_two_sides_hold_every_row_once_and_share_no_text(train: list[Example], share: float, seed: int) -> None:
    rows = int(share * len(train))
    split = split_train(train, rows, seed)
    assert Counter(split.fine_tuning) + Counter(split.calibration) == Counter(train)
    assert {text_key(row) for row in split.fine_tuning}.isdisjoint(text_key(row) for row in split.calibration)
    assert len(split.calibration) <= rows
    assert split_train(train, rows, seed) == split


@given(sizes=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)), share=st.floats(0.01, 0.9))
def test_classes_keep_their_shares_within_one_row(sizes: tuple[int, int, int], share: float) -> None:
    train = [Example(f"{label} {number}", label) for label, size in enumerate(sizes) for number in range(size)]
    rows = int(share * len(train))
    drawn = Counter(row.label for row in split_train(train, rows, 0).calibration)
    assert drawn.total() == rows
    assert all(abs(drawn[label] - rows * size / len(train)) < 1 for label, size in enumerate(sizes))


def test_a_pair_in_the_other_order_is_the_same_text() -> None:
    assert text_key(Example(("One  thing", "two"), 0)) == text_key(Example(("TWO", "one thing"), 1))


def test_another_seed_draws_other_rows_and_the_digest_tells() -> None:
    train = [Example(str(number), number % 2) for number in range(100)]
    splits = [split_train(train, 20, seed) for seed in (0, 1)]
    assert splits[0].calibration != splits[1].calibration
    assert splits[0].digest != splits[1].digest == split_train(train, 20, 1).digest


def test_small_sets_give_a_fifth_and_some_row_must_remain() -> None:
    assert [default_calibration_rows(rows) for rows in (635, 3668)] == [127, 512]
    with pytest.raises(AebertError, match="2 of 2 training rows; leave at least one"):
        split_train([Example("a", 0), Example("b", 1)], 2)


LABELS = [1, 1, 1, 0, 0, 1, 0, 1]
GUESSES = [1, 1, 0, 0, 1, 1, 0, 1]  # 4 true positives, 2 true negatives, 1 false positive, 1 false negative


def one_hot(guesses: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.eye(2, dtype=np.float32)[guesses]


def test_classification_metrics_are_those_of_the_definitions() -> None:
    assert compute_metrics(find_task("mrpc"), one_hot(GUESSES), LABELS) == pytest.approx(
        {"accuracy": 6 / 8, "f1": 2 * 4 / (2 * 4 + 1 + 1)}
    )
    # (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN))
    expected = (4 * 2 - 1 * 1) / np.sqrt(5 * 5 * 3 * 3)
    assert compute_metrics(find_task("cola"), one_hot(GUESSES), LABELS) == pytest.approx({"matthews": expected})


def test_correlations_see_order_and_spread() -> None:
    logits = np.array([[1.0], [2.0], [3.0], [10.0]], np.float32)
    labels = [0.0, 1.0, 2.0, 3.0]
    metrics = compute_metrics(find_task("stsb"), logits, labels)
    assert metrics["spearman"] == pytest.approx(1.0)
    assert metrics["pearson"] == pytest.approx(np.corrcoef(logits[:, 0], labels)[0, 1])


def test_a_constant_prediction_correlates_with_nothing() -> None:
    metrics = compute_metrics(find_task("stsb"), np.full((3, 1), 0.1, np.float32), [0.0, 1.0, 2.0])
    assert metrics == {"pearson": 0.0, "spearman": 0.0}


def test_logits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(AebertError, match=r"logits of shape \(8, 2\) for 8 rows and 3 output"):
        compute_metrics(find_task("mnli"), one_hot(GUESSES), LABELS)
    with pytest.raises(AebertError, match="NaN or infinite"):
        compute_metrics(find_task("mrpc"), one_hot(GUESSES) * np.float32("nan"), LABELS)
