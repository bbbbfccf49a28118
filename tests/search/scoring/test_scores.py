"""Scores written out: cross entropy, divergence, cosine and metric of rows, and their sign."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from aebert.search.scoring.scores import RowResults, Truth, own_objective
from aebert.support.errors import AebertError
from aebert.tasks.task import own_task

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [-1.0, 3.0, 0.0], [0.0, 0.0, 4.0]])
DENSE = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
LABELS = np.array([0.0, 2.0, 1.0, 0.0])
COSINE = torch.tensor([0.9, 0.5, 1.0, 0.2])
CLASSES = own_task("three", "classification", ("x", "y", "z"))
NUMBERS = own_task("number", "regression", ())


def _softmax(logits: torch.Tensor) -> np.ndarray:
    values = np.exp(logits.double().numpy())
    return values / values.sum(axis=1, keepdims=True)


def _truth() -> Truth:
    return Truth(CLASSES, LABELS, DENSE)


def _losses(logits: torch.Tensor, labels: np.ndarray) -> np.ndarray:
    return -np.log(_softmax(logits)[np.arange(len(labels)), labels.astype(int)])


def _divergences(logits: torch.Tensor, dense: torch.Tensor) -> np.ndarray:
    p, q = _softmax(dense), _softmax(logits)
    return (p * np.log(p / q)).sum(axis=1)


@pytest.mark.parametrize("objective", ["loss", "metric", "kl", "cosine"])
def test_a_score_holds_every_measure_and_its_value_is_the_objectives_higher_better(objective: str) -> None:
    score = _truth().score(objective, RowResults(LOGITS, COSINE), 4)  # type: ignore[arg-type]
    assert score.loss == pytest.approx(_losses(LOGITS, LABELS).mean())
    assert score.kl == pytest.approx(_divergences(LOGITS, DENSE).mean())
    assert score.cosine == pytest.approx(0.65)
    assert score.metric == 0.5  # rows 0 and 2
    assert score.rows == 4
    expected = {"loss": -score.loss, "kl": -score.kl, "metric": score.metric, "cosine": score.cosine}
    assert score.value == expected[objective]


@pytest.mark.parametrize("objective", ["loss", "kl", "cosine"])
def test_row_values_have_the_scores_mean_and_start_at_any_row(objective: str) -> None:
    score = _truth().score(objective, RowResults(LOGITS, COSINE), 4)  # type: ignore[arg-type]
    first = _truth().row_values(objective, RowResults(LOGITS[:1], COSINE[:1]), 0)  # type: ignore[arg-type]
    rest = _truth().row_values(objective, RowResults(LOGITS[1:], COSINE[1:]), 1)  # type: ignore[arg-type]
    together = np.concatenate([first, rest])
    assert together.mean() == pytest.approx(score.value)
    expected = {
        "loss": -_losses(LOGITS, LABELS),
        "kl": -_divergences(LOGITS, DENSE),
        "cosine": COSINE.numpy(),
    }
    np.testing.assert_allclose(together, expected[objective], rtol=1e-6)
    assert together.dtype == np.float64


def test_a_score_of_the_first_rows_compares_with_the_first_labels() -> None:
    score = _truth().score("loss", RowResults(LOGITS[:2], None), 2)
    assert score.loss == pytest.approx(_losses(LOGITS[:2], LABELS[:2]).mean())
    assert score.metric == 0.5
    assert score.cosine is None
    assert score.rows == 2


def test_a_regression_is_measured_by_squares_and_a_gaussian_divergence() -> None:
    truth = Truth(NUMBERS, np.array([1.0, 2.0, 4.0]), torch.tensor([[0.5], [1.0], [3.0]]))
    results = RowResults(torch.tensor([[1.5], [2.0], [3.0]]), None)
    score = truth.score("loss", results, 3)
    assert score.loss == pytest.approx((0.25 + 0.0 + 1.0) / 3)
    assert score.kl == pytest.approx((1.0 + 1.0 + 0.0) / 2 / 3)
    assert score.metric == pytest.approx(float(np.corrcoef([1.5, 2.0, 3.0], [1.0, 2.0, 4.0])[0, 1]))
    np.testing.assert_allclose(truth.row_values("kl", results, 0), [-0.5, -0.5, 0.0])


def test_what_has_no_data_has_no_measure() -> None:
    score = Truth(None, None, None).score("cosine", RowResults(None, COSINE), 4)
    assert (score.loss, score.metric, score.kl) == (None, None, None)
    unlabelled = Truth(CLASSES, None, DENSE).score("kl", RowResults(LOGITS, None), 4)
    assert (unlabelled.loss, unlabelled.metric) == (None, None)
    assert unlabelled.kl is not None
    labels_only = Truth(CLASSES, LABELS, None).score("loss", RowResults(LOGITS, None), 4)
    assert labels_only.kl is None
    assert labels_only.loss is not None
    no_task = Truth(None, LABELS, DENSE).score("kl", RowResults(LOGITS, None), 4)
    assert (no_task.loss, no_task.metric) == (None, None)
    with pytest.raises(AssertionError, match="loss was checked"):
        Truth(None, None, None).score("loss", RowResults(None, COSINE), 4)


def test_results_of_parts_are_joined_in_order() -> None:
    joined = RowResults.join([RowResults(LOGITS[:3], None), RowResults(LOGITS[3:], None)])
    assert joined.logits is not None
    torch.testing.assert_close(joined.logits, LOGITS)
    assert joined.cosine is None
    only = RowResults.join([RowResults(None, COSINE[:1]), RowResults(None, COSINE[1:])])
    assert only.logits is None
    assert only.cosine is not None
    torch.testing.assert_close(only.cosine, COSINE)


def _margin(logits: torch.Tensor, dense: torch.Tensor, labels: np.ndarray | None) -> torch.Tensor:
    """The logit of the label, above the dense model's."""
    assert labels is not None
    rows = torch.arange(len(logits))
    return (logits - dense)[rows, torch.from_numpy(labels).long()]


def test_an_objective_of_ones_own_sees_the_rows_it_is_asked_for() -> None:
    rows, labels = torch.arange(4), torch.from_numpy(LABELS).long()
    expected = (LOGITS - DENSE)[rows, labels].double().numpy()
    assert _truth().score(_margin, RowResults(LOGITS, COSINE), 4).value == pytest.approx(expected.mean())
    parts = [_truth().row_values(_margin, RowResults(LOGITS[a:b], None), a) for a, b in ((0, 1), (1, 4))]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert parts[0].dtype == np.float64


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (lambda logits, dense, labels: logits, r"gave torch.Size\(\[4, 3\]\) for 4 rows"),
        (lambda logits, dense, labels: logits[:3, 0], r"gave torch.Size\(\[3\]\) for 4 rows"),
        (lambda logits, dense, labels: 1.0, "gave float for 4 rows"),
    ],
)
def test_an_objective_must_give_one_number_per_row(gives: Callable[..., object], words: str) -> None:
    with pytest.raises(AebertError, match=words):
        _truth().score(gives, RowResults(LOGITS, None), 4)  # type: ignore[arg-type]


def test_an_objective_is_a_function() -> None:
    assert own_objective(_margin) is _margin
    with pytest.raises(AebertError, match="is no function of logits"):
        own_objective(3)  # type: ignore[arg-type]
