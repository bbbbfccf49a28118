"""The robust hierarchical fit: it finds the truth, stays with the structure where there is none, and pools groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from aebert.cost_model.observations import Floats, Observations
from aebert.cost_model.robust_fit import Fit, Prior, fit
from aebert.support.errors import AebertError

TRUTH = np.array([1.3, 0.7])
PRIOR = Prior(np.ones(2), np.full(2, 0.5), {"design": 0.1}, noise=0.05)


def synthetic(seed: int, runs: int = 120, designs: int = 12, spread: float = 0.1, noise: float = 0.02) -> Observations:
    random = np.random.default_rng(seed)
    amounts = np.exp(random.normal(8, 1, (runs, 2)))
    design = np.arange(runs) % designs
    effects = random.normal(0, spread, designs)
    measured = amounts @ TRUTH * np.exp(effects[design] + random.normal(0, noise, runs))
    names = tuple(f"{row}" for row in range(runs))
    return Observations(("engine", "other"), amounts, measured, {"design": tuple(f"d{each}" for each in design)}, names)


def changed(observations: Observations, measured: Floats) -> Observations:
    return Observations(observations.terms, observations.amounts, measured, observations.groups, observations.names)


def test_the_coefficients_and_spreads_that_made_the_runs_are_found() -> None:
    found = fit(synthetic(0), PRIOR)
    assert found.coefficients == pytest.approx(TRUTH, rel=0.1)
    assert found.coefficients[0] / found.coefficients[1] == pytest.approx(TRUTH[0] / TRUTH[1], rel=0.02)
    assert 0.05 < found.levels["design"].spread < 0.2
    assert 0.01 < found.noise < 0.03


def test_runs_that_are_far_off_hardly_move_the_fit() -> None:
    clean = synthetic(1, spread=0.0)
    spoiled = clean.measured.copy()
    spoiled[::10] *= 5
    assert fit(changed(clean, spoiled), PRIOR).coefficients == pytest.approx(TRUTH, rel=0.05)


def test_without_runs_the_fit_is_the_structure_with_the_priors_doubt() -> None:
    found = fit(synthetic(2).take(np.zeros(120, np.bool_)), PRIOR)
    mean, deviation = found.predict(np.array([[100.0, 0.0]]), {})
    assert np.exp(mean) == pytest.approx(100.0)
    assert deviation == pytest.approx(np.sqrt(0.5**2 + 0.1**2 + 0.05**2))


def test_a_coefficient_that_no_run_speaks_of_keeps_the_structures_value() -> None:
    observations = synthetic(3)
    only_first = observations.amounts * [1, 0]
    measured = only_first @ TRUTH
    found = fit(Observations(observations.terms, only_first, measured, observations.groups), PRIOR)
    assert found.coefficients[1] == pytest.approx(1.0)
    assert found.coefficients[0] == pytest.approx(TRUTH[0], rel=0.1)


def test_a_known_group_is_predicted_better_and_narrower_than_an_unknown_one() -> None:
    observations = synthetic(4, spread=0.3)
    found = fit(observations, PRIOR)
    known, narrow = found.predict(observations.amounts, observations.groups)
    unknown, wide = found.predict(observations.amounts, {})
    target = np.log(observations.measured)
    assert np.median(np.abs(known - target)) < 0.2 * np.median(np.abs(unknown - target))
    assert (narrow < wide).all()
    stranger, _ = found.predict(observations.amounts, {"design": ("never seen",) * len(observations)})
    assert stranger == pytest.approx(unknown)


def test_a_few_runs_of_a_new_board_help_when_the_other_boards_model_is_the_prior() -> None:
    prior = Prior(np.ones(2), np.full(2, 0.5), noise=0.05)
    old = fit(synthetic(5, runs=400, spread=0.0), prior)
    random = np.random.default_rng(6)
    amounts = np.exp(random.normal(8, 1, (300, 2)))
    truth = amounts @ (TRUTH * [1.1, 0.9])
    seen = Observations(old.terms, amounts[:3], truth[:3])
    from_old, from_nothing = fit(seen, old.as_prior(prior, 0.1)), fit(seen.take(np.array([0])), prior)

    def error(found: Fit) -> float:
        return float(np.median(np.abs(np.exp(found.predict(amounts[3:], {})[0]) / truth[3:] - 1)))

    assert error(from_old) < 0.02
    assert error(from_old) < error(old)
    assert error(from_old) < error(from_nothing)


def _posterior(observations: Observations, prior: Prior, found: Fit) -> Callable[[Floats], float]:
    """Minus the log posterior of (log coefficients over the prior's, effects), noise and spread those of ``found``."""
    designs = list(found.levels["design"].effects)
    place = [designs.index(str(label)) for label in observations.groups["design"]]
    target, spread, freedom = np.log(observations.measured), found.levels["design"].spread, prior.freedom

    def students(values: Floats, scale: float) -> float:
        return float((freedom + 1) / 2 * np.sum(np.log1p((values / scale) ** 2 / freedom)))

    def value(parameters: Floats) -> float:
        moved, effects = parameters[:2], parameters[2:]
        residuals = np.log(observations.amounts @ (prior.centre * np.exp(moved))) + effects[place] - target
        held = float(np.sum((moved / prior.spread) ** 2) / 2)
        return students(residuals, found.noise) + held + students(effects, spread)

    return value


FEW = Prior(np.array([1.1, 0.9]), np.array([0.1, 0.2]), {"design": 0.15}, noise=0.2)


def _few_runs() -> Observations:
    """25 runs of 5 designs that lie well apart, two of them far off."""
    clean = synthetic(11, runs=25, designs=5, spread=0.3, noise=0.04)
    spoiled = clean.measured.copy()
    spoiled[[3, 17]] *= [1.5, 0.7]
    return changed(clean, spoiled)


@pytest.mark.parametrize("freedom", [4.0, 1.5])
def test_the_fit_is_the_maximum_of_the_posterior(freedom: float) -> None:
    """Against a general minimiser on the posterior as the module's docstring has it."""
    observations, prior = _few_runs(), replace(FEW, freedom=freedom)
    found = fit(observations, prior)
    own = np.array([*np.log(found.coefficients / prior.centre), *found.levels["design"].effects.values()])
    value = _posterior(observations, prior, found)
    best = minimize(value, own, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10, "maxfev": 20000}).x
    assert own == pytest.approx(best, abs=1e-3)


def test_spread_noise_and_covariance_hold_their_own_equations() -> None:
    """The fixed point of expectation maximisation: weighted squares plus what is unknown, drawn to the prior's guesses,
    which count like two groups and one run; errors and effects have four degrees of freedom where nothing is said."""
    observations = _few_runs()
    found = fit(observations, FEW)
    effects = np.array([*found.levels["design"].effects.values()])
    spread, noise = found.levels["design"].spread, found.noise
    parts = observations.amounts * found.coefficients
    designs = list(found.levels["design"].effects)
    belongs = np.array([[label == design for design in designs] for label in observations.groups["design"]], float)
    slopes = np.hstack([parts / parts.sum(axis=1, keepdims=True), belongs])
    residuals = np.log(parts.sum(axis=1)) + belongs @ effects - np.log(observations.measured)
    of_runs, of_effects = 5 / (4 + (residuals / noise) ** 2), 5 / (4 + (effects / spread) ** 2)
    held = np.array([*FEW.spread**-2, *(of_effects / spread**2)])
    covariance = np.linalg.inv((slopes.T * of_runs) @ slopes / noise**2 + np.diag(held))
    assert found.covariance == pytest.approx(covariance, rel=0.02, abs=1e-6)
    unknown = np.einsum("ri,ij,rj->r", slopes, covariance, slopes)
    squares = np.sum(of_runs * (residuals**2 + unknown))
    assert noise == pytest.approx(np.sqrt((FEW.noise**2 + squares) / (1 + len(residuals))), rel=0.005)
    squares = np.sum(of_effects * (effects**2 + np.diag(covariance)[2:]))
    assert spread == pytest.approx(np.sqrt((2 * 0.15**2 + squares) / (2 + len(effects))), rel=0.005)


def test_one_run_is_a_fit_and_exact_runs_keep_the_smallest_spread() -> None:
    one = _few_runs().take(np.arange(25) == 0)
    assert list(fit(one, FEW).levels["design"].effects) == ["d0"]
    exact = synthetic(3, runs=400, designs=4, spread=0.0, noise=0.0)
    certain = Prior(np.ones(2), np.full(2, 0.5), {"design": 1e-5}, noise=1e-5)
    found = fit(exact, certain)
    assert (found.noise, found.levels["design"].spread) == (1e-4, 1e-4)


def test_a_prior_of_which_nothing_is_said_doubts_one_run_by_a_tenth() -> None:
    nothing = synthetic(2).take(np.zeros(120, np.bool_))
    _, deviation = fit(nothing, Prior(np.ones(2), np.zeros(2))).predict(np.array([[1.0, 1.0]]), {})
    assert deviation == pytest.approx([0.1])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_the_unit_of_the_amounts_does_not_matter(seed: int, unit: float) -> None:
    observations = synthetic(seed, runs=30, designs=5)
    scaled = Observations(
        observations.terms, observations.amounts * unit, observations.measured * unit, observations.groups
    )
    assert fit(scaled, PRIOR).coefficients == pytest.approx(fit(observations, PRIOR).coefficients, rel=1e-3)


@pytest.mark.parametrize(
    ("amounts", "measured", "words"),
    [
        ([[1.0, -1.0]], [1.0], "amounts >= 0"),
        ([[0.0, 0.0]], [1.0], "not all 0"),
        ([[1.0, np.nan]], [1.0], "finite"),
        ([[1.0, 1.0]], [0.0], "above 0"),
        ([[1.0, 1.0]], [np.inf], "finite"),
        ([[1.0]], [1.0], "shape"),
    ],
)
def test_values_without_a_logarithm_are_refused(amounts: list[list[float]], measured: list[float], words: str) -> None:
    with pytest.raises(AebertError, match=words):
        Observations(("a", "b"), np.array(amounts), np.array(measured))


def test_a_fit_as_prior_may_be_left_by_its_own_uncertainty_and_the_spread() -> None:
    found = fit(synthetic(0), PRIOR)
    prior = found.as_prior(PRIOR, 0.3)
    assert prior.spread == pytest.approx(np.sqrt(np.diag(found.covariance)[:2] + 0.09))
    assert prior.centre == pytest.approx(found.coefficients)
