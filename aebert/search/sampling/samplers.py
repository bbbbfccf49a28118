"""How candidates are chosen to be tried. A sampler keeps no state: what it proposes follows from seed and history.

That makes a search the same with any number of workers, and the same after an interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np

from aebert.search.space.search_space import Draw, PatternSpace, Proposal, SearchSpace
from aebert.search.space.trials import ScoredTrial
from aebert.support.errors import AebertError
from aebert.support.extensions import find_method

OptunaName = Literal["tpe", "nsga2"]
SamplerName = Literal["surrogate", "random", "tpe", "nsga2", "cmaes"]
SAMPLER_NAMES: tuple[SamplerName, ...] = get_args(SamplerName)
_MOST_ATTEMPTS = 32


@dataclass(frozen=True)
class Moment:
    """Where in the search a proposal is asked for: every random stream is derived from this."""

    seed: int
    round: int
    attempt: int = 0

    def stream(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.round, self.attempt])

    def number(self) -> int:
        """A seed for libraries that want one number."""
        return int(self.stream().integers(2**31))


@runtime_checkable
class Sampler(Protocol):
    """Proposes candidates from those tried in earlier rounds."""

    def propose(self, space: SearchSpace, history: Sequence[ScoredTrial], count: int, moment: Moment) -> list[Proposal]:
        """At most ``count`` candidates within the budgets, the same for the same arguments."""
        ...


def own_sampler(name: str) -> Sampler:
    """The sampler that a package offers as ``name``; a class is called without arguments.

    Raises AebertError for a name that is not known, and for what has no ``propose``.
    """
    found = find_method("sampler", name, SAMPLER_NAMES)
    sampler = found() if isinstance(found, type) else found
    if not isinstance(sampler, Sampler):
        raise AebertError(f"sampler {name!r}: has no method propose; see docs/own_methods.md")
    return sampler


class RandomSampler:
    """AE-BERT's candidates: independent uniform ratios, scaled to the overall ratio."""

    def propose(self, space: SearchSpace, history: Sequence[ScoredTrial], count: int, moment: Moment) -> list[Proposal]:
        stream = moment.stream()
        names = list(space.patterns)
        chosen = stream.integers(len(names), size=count)
        return space.realise([random_draw(space.patterns[names[i]], stream) for i in chosen])


def random_draw(space: PatternSpace, stream: np.random.Generator) -> Draw:
    """Uniform ratios per gene, scaled so that the weights' mean is the overall ratio (itself uniform where free)."""
    ratio = float(stream.uniform(space.goal.low, space.goal.high)) if space.goal.ratio_is_free else space.goal.low
    weights = space.grid.gene_weights
    uniform = stream.uniform(size=space.grid.genes)
    scaled = uniform * ratio * space.grid.total_weights / max(float(uniform @ weights), 1e-9)
    return Draw(space.name, ratio, tuple(scaled.tolist()))


def propose_round(
    sampler: Sampler, space: SearchSpace, history: Sequence[ScoredTrial], count: int, seed: int, number: int
) -> list[Proposal]:
    """``count`` proposals of one round; the first begins with the uniform candidates, which all others must beat.

    Raises AebertError when the sampler finds none within the budgets.
    """
    found: list[Proposal] = [] if number else space.uniform()[:count]
    for attempt in range(_MOST_ATTEMPTS):
        if len(found) >= count:
            break
        found += sampler.propose(space, history, count - len(found), Moment(seed, number, attempt))
    if not found:
        limit = f"{space.goal.latency_ms:g} ms" if space.goal.latency_ms is not None else "the budget"
        raise AebertError(
            f"no candidate at ratio {space.goal.low:g} is predicted to run within {limit}; "
            "allow more latency or a higher ratio"
        )
    return found
