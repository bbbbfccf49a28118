"""The scores that benchmarks/search_proxies.py compares: each sees what it is said to see, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from aebert.tasks.task import own_task
from benchmarks.search_proxies import PROXIES, Seen

CLASSES = own_task("two", "classification", ("x", "y"))
NUMBER = own_task("number", "regression", ())


def _seen(own: np.ndarray, dense: np.ndarray, labels: list[int | float] | None = None) -> Seen:
    task = NUMBER if dense.shape[1] == 1 else CLASSES
    return Seen(task, dense.astype(np.float32), own.astype(np.float32), labels or [0, 1] * (len(dense) // 2))


def _logits(seed: int, outputs: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(400, outputs))


@pytest.mark.parametrize("outputs", [1, 2])
def test_matched_moments_forgive_an_offset_and_a_scale_and_plain_divergence_does_not(outputs: int) -> None:
    dense = _logits(0, outputs)
    moved = _seen(0.5 * dense + np.arange(1, outputs + 1), dense)
    assert PROXIES["kl-moments"](moved) == pytest.approx(0, abs=1e-6)
    assert PROXIES["kl"](moved) > 0.01
    assert PROXIES["kl-moments"](_seen(_logits(1, outputs), dense)) > 0.1


def test_undecided_rows_count_for_more_in_the_margin_weighted_divergence() -> None:
    """The same change of logits in a row that the dense model is sure of, and in one that it is not."""
    dense = np.array([[8.0, 0.0], [0.1, 0.0]])
    sure, unsure = (_seen(dense + change, dense) for change in (np.array([[0, 9], [0, 0]]), np.array([[0, 0], [0, 9]])))
    assert PROXIES["kl-margin"](unsure) > PROXIES["kl"](unsure)
    assert PROXIES["kl-margin"](sure) < PROXIES["kl"](sure)


def test_decisions_are_the_dense_models_and_losses_those_of_the_labels() -> None:
    dense, own = _logits(0, 2), _logits(1, 2)
    likely = own - np.log(np.exp(own).sum(axis=1, keepdims=True))
    rows = np.arange(len(own))
    decision = -likely[rows, dense.argmax(axis=1)].mean()
    loss = -likely[rows, rows % 2].mean()
    seen = _seen(own, dense)
    assert PROXIES["decision"](seen) == pytest.approx(decision, abs=1e-6)
    assert PROXIES["loss"](seen) == pytest.approx(loss, abs=1e-6)
    assert PROXIES["smoothed"](seen) == pytest.approx(0.9 * loss - 0.1 * likely.mean(), abs=1e-6)
    assert PROXIES["kl+loss"](seen) == pytest.approx((PROXIES["kl"](seen) + loss) / 2, abs=1e-6)
    assert PROXIES["metric"](seen) == pytest.approx(-(own.argmax(axis=1) == rows % 2).mean())


def test_a_regression_has_squared_errors() -> None:
    dense, own = _logits(0, 1), _logits(1, 1)
    labels = _logits(2, 1)[:, 0].tolist()
    seen = _seen(own, dense, labels)
    assert PROXIES["decision"](seen) == pytest.approx(float(np.square(own - dense).mean()), abs=1e-5)
    assert PROXIES["loss"](seen) == pytest.approx(float(np.square(own[:, 0] - labels).mean()), abs=1e-5)
    assert PROXIES["kl-margin"](seen) == PROXIES["kl"](seen)
