"""Intervals cover what they promise for designs never seen, and say when they cannot promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cost_model.intervals import LEVELS, conformal_bound, groups_needed
from aebert.cost_model.leave_one_out import HeldOut, coverage_bounds, error_table, leave_one_out
from aebert.cost_model.observations import Observations
from aebert.cost_model.robust_fit import Prior
from tests.cost_model.test_robust_fit import PRIOR, changed, synthetic


@pytest.mark.parametrize("level", LEVELS)
def test_a_new_design_lies_inside_as_often_as_promised(level: float) -> None:
    random = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        # Designs differ in scale, runs of a design are alike, errors have heavy tails: nothing normal is assumed.
        runs = random.integers(1, 6, 31)
        scores = [np.abs(random.standard_t(2)) * np.abs(1 + 0.1 * random.normal(size=count)) for count in runs]
        labels = [f"{design}" for design, count in enumerate(runs[:-1]) for _ in range(count)]
        bound = conformal_bound(np.concatenate(scores[:-1]), labels, level)
        assert not bound.assumed
        inside.append(np.mean(scores[-1] <= bound.deviations))
    assert np.mean(inside) == pytest.approx(level, abs=0.045)


@given(st.sampled_from(LEVELS), st.integers(1, 40))
def test_a_bound_is_assumed_exactly_when_there_are_too_few_designs(level: float, groups: int) -> None:
    scores = np.linspace(0.1, 1.0, groups)
    bound = conformal_bound(scores, [f"{group}" for group in range(groups)], level)
    assert bound.assumed == (groups < groups_needed(level))
    if bound.assumed:
        assert bound.deviations >= scores.max()


@given(st.lists(st.floats(0, 10), min_size=20, max_size=60), st.integers(2, 30))
def test_many_runs_of_one_design_weigh_no_more_than_one(scores: list[float], copies: int) -> None:
    labels = [f"{row}" for row in range(len(scores))]
    once = conformal_bound(np.array(scores), labels, 0.8)
    often = conformal_bound(np.array(scores + scores[:1] * copies), labels + labels[:1] * copies, 0.8)
    assert once.deviations == often.deviations


def test_leave_one_out_intervals_cover_designs_that_the_fit_has_not_seen() -> None:
    inside = []
    for seed in range(3):
        held_out = leave_one_out(synthetic(seed, runs=40, designs=20, spread=0.2), PRIOR, "design")
        inside.append([row.inside for row in error_table(held_out)])
    shares = np.concatenate(inside).mean(axis=0)
    assert shares == pytest.approx(LEVELS, abs=0.1)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 5), st.floats(0.1, 10.0))
def test_a_design_left_out_is_never_seen_by_its_own_prediction(design: int, factor: float) -> None:
    observations = synthetic(7, runs=12, designs=6)
    mine = np.array([label == f"d{design}" for label in observations.groups["design"]])
    moved = changed(observations, np.where(mine, observations.measured * factor, observations.measured))
    before = leave_one_out(observations, PRIOR, "design")
    after = leave_one_out(moved, PRIOR, "design")
    assert after.residuals[mine] - before.residuals[mine] == pytest.approx(np.log(factor), abs=1e-9)
    assert after.deviations[mine] == pytest.approx(before.deviations[mine], abs=1e-12)


def test_the_interval_of_a_design_does_not_rest_on_its_own_errors() -> None:
    groups = tuple(f"{row}" for row in range(25))
    calm = HeldOut(np.full(25, 0.1), np.ones(25), groups)
    wild = HeldOut(np.where(np.arange(25) == 3, 9.0, 0.1), np.ones(25), groups)
    assert coverage_bounds(wild, "3") == coverage_bounds(calm, "3")
    assert error_table(wild)[groups.index("3")].group == "11"  # in order of name
    assert next(row for row in error_table(wild) if row.group == "3").inside == (0.0, 0.0, 0.0)


def test_runs_of_unknown_design_are_left_out_one_by_one() -> None:
    observations = Observations(
        ("x",), np.full((3, 1), 10.0), np.array([10.0, 10.0, 20.0]), {"design": (None, None, None)}
    )
    held_out = leave_one_out(observations, Prior(np.ones(1), np.full(1, 0.5), {"design": 0.1}), "design")
    assert len(set(held_out.groups)) == 3
    assert held_out.residuals[2] == pytest.approx(np.log(2), abs=0.05)
