"""Whatever a sampler draws, candidates keep to the ratio and the latency that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.models.encoder import EncoderShape
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.run.choice import Latency, Ranked, pareto_front, rank
from aebert.search.sampling.optuna_samplers import CmaEsSampler, OptunaSampler
from aebert.search.sampling.samplers import Moment, RandomSampler, Sampler, propose_round
from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.sampling.surrogate_sampler import SurrogateSampler, vary_levels
from aebert.search.space.grid import DEFAULT_LEVELS
from aebert.search.space.search_space import Draw, Goal, Proposal, SearchSpace, make_space
from aebert.search.space.trials import Outcome, ScoredTrial, Trial
from aebert.support.errors import AebertError
from tests.support.tiny_search import LinearCosts

SHAPE = EncoderShape(layers=3, hidden=64, heads=4, ffn=256, epsilon=1e-12, max_positions=64)
# Kept units of SHAPE at ratio 0: 3 * (4 * 64 * 64 + 2 * 64 * 256) = 147456, a nanosecond each.
DENSE_MS = 0.147456


def space_of(
    *patterns: str, low: float = 0.5, high: float | None = None, latency_ms: float | None = None
) -> SearchSpace:
    goal = Goal(low, low if high is None else high, latency_ms)
    return make_space(SHAPE, [parse_pattern(name) for name in patterns], goal, costs=LinearCosts())


def surrogate_sampler(space: SearchSpace) -> SurrogateSampler:
    """What a site loses grows with the square of its level, and later sites lose more."""
    surrogates = {}
    for name, own in space.patterns.items():
        sites = len(own.grid.sites)
        table = np.outer(1 + np.arange(sites), np.square(np.arange(own.grid.levels))).astype(float)
        surrogates[name] = Surrogate(own.grid, table, 0.0)
    return SurrogateSampler(surrogates, screened=512)


def samplers(space: SearchSpace) -> dict[str, Sampler]:
    return {
        "random": RandomSampler(),
        "surrogate": surrogate_sampler(space),
        "tpe": OptunaSampler("tpe", ("score", "latency_ms"), 6),
        "nsga2": OptunaSampler("nsga2", ("score", "latency_ms"), 6),
        "cmaes": CmaEsSampler(6),
    }


def history_of(space: SearchSpace, proposals: list[Proposal], round_number: int = 0) -> list[ScoredTrial]:
    """Better the more even the ratios are."""
    trials = []
    for number, proposal in enumerate(proposals):
        own = space.patterns[proposal.candidate.pattern]
        kept = own.grid.kept_of([proposal.candidate])
        value = -float(np.square(own.grid.gene_ratios(kept) - 0.5).sum())
        outcome = Outcome(value, (value, float(own.latencies(kept)[0])), {"rows": 1.0})
        trials.append(ScoredTrial(Trial(number, round_number, proposal, outcome), outcome))
    return trials


@pytest.mark.parametrize("name", ["random", "surrogate", "tpe", "nsga2", "cmaes"])
def test_every_sampler_meets_the_ratio_and_repeats_itself(name: str) -> None:
    space = space_of("vector:4x1", "unstructured")
    sampler = samplers(space)[name]
    first = propose_round(sampler, space, [], 6, seed=1, number=0)
    history = history_of(space, first)
    second = propose_round(sampler, space, history, 6, seed=1, number=1)
    assert second == propose_round(samplers(space)[name], space, history, 6, seed=1, number=1)
    assert second != propose_round(sampler, space, history, 6, seed=2, number=1)
    for proposal in [*first, *second]:
        unit = 4 if proposal.candidate.pattern == "vector:4x1" else 1
        missed = abs(proposal.candidate.overall_ratio(SHAPE) - 0.5) * 147456
        assert missed <= unit / 2
    assert len({proposal.candidate.pattern for proposal in first}) == 2


@pytest.mark.parametrize("name", ["random", "surrogate", "tpe", "nsga2", "cmaes"])
def test_under_a_latency_budget_no_more_is_pruned_than_it_takes(name: str) -> None:
    space = space_of("unstructured", low=0.0, high=0.95, latency_ms=0.4 * DENSE_MS)
    proposals = propose_round(samplers(space)[name], space, [], 6, seed=1, number=0)
    for proposal in proposals:
        # A nanosecond for each weight: the budget leaves exactly 0.4 of them.
        kept = sum(proposal.candidate.kept) / 147456
        assert 0.4 - 1e-3 <= kept <= 0.4


@pytest.mark.parametrize("name", ["random", "surrogate", "tpe", "nsga2", "cmaes"])
def test_a_range_of_ratios_is_searched_from_end_to_end(name: str) -> None:
    space = space_of("unstructured", low=0.3, high=0.7)
    proposals = propose_round(samplers(space)[name], space, [], 12, seed=4, number=0)
    ratios = [proposal.candidate.overall_ratio(SHAPE) for proposal in proposals]
    assert min(ratios) >= 0.3 - 1e-4
    assert max(ratios) <= 0.7 + 1e-4
    assert max(ratios) - min(ratios) > 0.15


def test_ratio_and_latency_together_keep_to_both() -> None:
    # Vectors of four count a quarter of the units: at ratio 0.5 only they are fast enough.
    space = space_of("unstructured", "vector:4x1", latency_ms=0.2 * DENSE_MS)
    proposals = propose_round(RandomSampler(), space, [], 6, seed=0, number=0)
    assert {proposal.candidate.pattern for proposal in proposals} == {"vector:4x1"}
    with pytest.raises(AebertError, match=r"no candidate at ratio 0\.5 is predicted to run within"):
        propose_round(RandomSampler(), space_of("unstructured", latency_ms=0.2 * DENSE_MS), [], 6, 0, 0)


@pytest.mark.parametrize(
    ("goal", "costs", "words"),
    [
        (Goal(0.5, 0.5, 0.1), None, "name a board"),
        (Goal(0.7, 0.3), LinearCosts(), "first must be the smaller"),
        (Goal(0.0, 0.95, 1e-6), LinearCosts(), "latency budget 1e-06 ms: pattern 'unstructured' at ratio"),
        (Goal(1.0, 1.0), LinearCosts(), "pruning ratio lies in"),
    ],
)
def test_impossible_goals_are_refused(goal: Goal, costs: LinearCosts | None, words: str) -> None:
    with pytest.raises(AebertError, match=words) as refused:
        make_space(SHAPE, [parse_pattern("unstructured")], goal, costs=costs)
    assert "\n" not in str(refused.value)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from(["unstructured", "vector:4x1", "block:4x4", "neuron"]))
def test_variations_of_levels_zero_as_much_as_their_parents(seed: int, pattern: str) -> None:
    (own,) = space_of(pattern, low=0.25).patterns.values()
    stream = np.random.default_rng(seed)
    parents = stream.integers(0, own.grid.levels, (2, own.grid.genes))
    varied = vary_levels(own.grid, parents, 64, stream)
    assert varied.min() >= 0
    assert varied.max() < own.grid.levels
    sums = {int(total) for total in parents @ own.grid.gene_weights}
    assert {int(total) for total in varied @ own.grid.gene_weights} <= sums
    assert len(np.unique(varied, axis=0)) > 2


def test_the_surrogate_proposes_its_optimum_and_nothing_twice() -> None:
    space = space_of("unstructured")
    sampler = surrogate_sampler(space)
    first = sampler.propose(space, [], 8, Moment(0, 1))
    (own,) = space.patterns.values()
    surrogate = sampler._surrogates["unstructured"]
    values = surrogate.predict(own.grid.kept_of([proposal.candidate for proposal in first]))
    random = RandomSampler().propose(space, [], 200, Moment(0, 1))
    others = surrogate.predict(own.grid.kept_of([proposal.candidate for proposal in random]))
    assert values.min() > others.max()
    again = sampler.propose(space, history_of(space, first), 8, Moment(0, 2))
    assert not {proposal.candidate for proposal in first} & {proposal.candidate for proposal in again}


def trial(number: int, candidate: Candidate, value: float, lost: bool = False) -> ScoredTrial:
    space = space_of("unstructured", low=0.0, high=0.9)
    kept = space.patterns["unstructured"].grid.kept_of([candidate])
    (proposal,) = space.patterns["unstructured"].propose(kept)
    outcome = Outcome(value, (value,), {}, lost)
    return ScoredTrial(Trial(number, 0, proposal, outcome), outcome)


def candidates_of(*ratios: float) -> list[Candidate]:
    own = space_of("unstructured", low=0.0, high=0.9).patterns["unstructured"]
    flat = np.repeat(np.array(ratios)[:, None], own.grid.genes, axis=1)
    return own.grid.candidates(own.meet(flat, np.array(ratios)))


def test_the_front_holds_what_nothing_beats_and_no_loser_of_a_race() -> None:
    dense, light, heavy, poor = candidates_of(0.0, 0.4, 0.8, 0.4001)
    history = [
        trial(0, light, 0.8),
        trial(1, dense, 0.9),
        trial(2, heavy, 0.5),
        trial(3, poor, 0.4),
        trial(4, candidates_of(0.2)[0], 2.0, lost=True),
    ]
    space = space_of("unstructured", low=0.0, high=0.9)
    ranked = rank(space, history)
    assert [item.number for item in ranked] == [1, 0, 2, 3]
    front = pareto_front(ranked, 10)
    assert [item.number for item in front] == [2, 0, 1], "fastest first"
    assert [item.number for item in pareto_front(ranked, 2)] == [2, 1]


def ranked_with(costs: Sequence[tuple[int, int, int]]) -> list[Ranked]:
    """Of (score, latency, weights) each."""
    (candidate,) = candidates_of(0.5)
    proposed = trial(0, candidate, 0.0).trial
    return [
        Ranked(
            ScoredTrial(replace(proposed, number=number), Outcome(float(score), (), {})),
            Latency(float(latency), "test"),
            weights,
        )
        for number, (score, latency, weights) in enumerate(costs)
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_the_front_is_every_candidate_that_no_other_beats(costs: list[tuple[int, int, int]]) -> None:
    def beats(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
        return one != other and one[0] >= other[0] and one[1] <= other[1] and one[2] <= other[2]

    unbeaten = [number for number, cost in enumerate(costs) if not any(beats(other, cost) for other in costs)]
    assert sorted(item.number for item in pareto_front(ranked_with(costs), len(costs))) == unbeaten


def test_the_front_of_very_many_candidates_is_found_while_somebody_waits() -> None:
    """A stopped search writes its front: to compare each with each would take an hour here."""
    worse = [(0, number % 1000 + 10, number % 777 + 10) for number in range(200_000)]
    front = [(number, number, 10 - number) for number in range(10)]
    ranked = ranked_with([*worse, *front])
    assert [item.number for item in pareto_front(ranked, 20)] == list(range(200_000, 200_010))


def test_a_long_front_is_thinned_to_even_steps_in_latency() -> None:
    ratios = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    # Nearly all of the score is lost between the last two.
    values = (0.96, 0.95, 0.94, 0.93, 0.92, 0.91, 0.10)
    history = [
        trial(number, candidate, value)
        for number, (candidate, value) in enumerate(zip(candidates_of(*ratios), values, strict=True))
    ]
    ranked = rank(space_of("unstructured", low=0.0, high=0.9), history)
    assert [item.number for item in pareto_front(ranked, 4)] == [6, 4, 2, 0]
    assert [item.number for item in pareto_front(ranked, 1)] == [0]


def test_a_measured_latency_counts_more_than_a_predicted_one() -> None:
    slow, fast = candidates_of(0.5, 0.6)
    history = [trial(0, slow, 0.9), trial(1, fast, 0.8)]
    space = space_of("unstructured", low=0.0, high=0.9, latency_ms=0.6 * DENSE_MS)
    assert [item.number for item in rank(space, history)] == [0, 1]
    measured = {0: MeasuredCandidate(slow, 0.7 * DENSE_MS, "emulated", "emulator", "design")}
    (left,) = rank(space, history, measured)
    assert left.number == 1
    assert not left.measured


def test_measurements_change_what_is_proposed() -> None:
    space = space_of("unstructured", low=0.0, high=0.95, latency_ms=0.4 * DENSE_MS)
    (half,) = candidates_of(0.5)
    # Devices take twice as long as was predicted.
    twice = LinearCosts().refitted([MeasuredCandidate(half, DENSE_MS, "hw", "xrt:0", "design")])
    learnt = space.refitted(twice)
    proposals = propose_round(RandomSampler(), learnt, [], 4, seed=0, number=0)
    assert all(sum(proposal.candidate.kept) <= 0.2 * 147456 for proposal in proposals)


def test_draws_of_the_later_patterns_alone_are_realised() -> None:
    space = space_of("vector:4x1", "unstructured")
    own = space.patterns["unstructured"]
    (proposal,) = space.realise([Draw("unstructured", 0.5, (0.5,) * own.grid.genes)])
    assert proposal.candidate.pattern == "unstructured"


@pytest.mark.parametrize("ratio", [0.5, 0.7, 0.33])
@pytest.mark.parametrize("pattern", ["vector:4x1", "unstructured", "block:4x4"])
def test_the_uniform_candidate_has_one_ratio_wherever_the_grid_lies(pattern: str, ratio: float) -> None:
    (proposal,) = space_of(pattern, low=ratio).uniform()
    found = proposal.candidate.ratios(SHAPE)
    sites = proposal.candidate.sites(SHAPE)
    assert all(abs(found[site.layer, site.matrices[0]] - ratio) <= 1 / site.units for site in sites)


def test_under_a_latency_budget_the_uniform_candidate_prunes_no_more_than_it_takes() -> None:
    (proposal,) = space_of("unstructured", low=0.0, high=0.95, latency_ms=0.63 * DENSE_MS).uniform()
    ratios = list(proposal.candidate.ratios(SHAPE).values())
    assert min(ratios) == pytest.approx(0.37, abs=1e-3)
    assert max(ratios) == pytest.approx(0.37, abs=1e-3)
    assert not space_of("unstructured", low=0.3, latency_ms=0.63 * DENSE_MS).uniform()


def test_a_latency_budget_may_be_just_what_most_pruning_takes() -> None:
    """One eighth of the weights is kept at most: 18432 of them, a nanosecond each."""
    fastest = 18432e-6
    assert space_of("unstructured", low=0.0, high=0.875, latency_ms=fastest).patterns
    with pytest.raises(AebertError, match=r"at ratio 0\.875 is predicted to take 0\.01843 ms"):
        space_of("unstructured", low=0.0, high=0.875, latency_ms=0.999 * fastest)


def test_a_free_ratio_goes_as_far_as_the_patterns_grid() -> None:
    space = space_of("head", "unstructured", low=0.1, high=0.95)
    for own in space.patterns.values():
        assert own.grid.levels == DEFAULT_LEVELS
        assert own.goal.high == min(0.95, own.grid.highest_ratio)
    assert space.patterns["head"].goal.high < 0.5
    fixed = space_of("unstructured", low=0.95).patterns["unstructured"]
    assert fixed.grid.levels > DEFAULT_LEVELS


def test_a_pattern_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match="several different ones"):
        space_of("vector:4x1", "vector:4x1")
