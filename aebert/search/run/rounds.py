"""The search: rounds of proposing, evaluating and learning, until as many candidates as asked for have been tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from aebert.search.run.candidates import CANDIDATES
from aebert.search.run.choice import Ranked, rank
from aebert.search.run.hardware_in_the_loop import HardwareLoop
from aebert.search.run.study import Study
from aebert.search.sampling.samplers import Sampler, propose_round
from aebert.search.scoring.scores import Score
from aebert.search.space.search_space import SearchSpace
from aebert.search.space.trials import Aim, Outcome, ScoredTrial, Trial, scored
from aebert.search.workers.executor import Executor, Job


@dataclass(frozen=True)
class SearchSettings:
    """``candidates`` are tried in rounds of ``batch``, which are evaluated in jobs of ``job``.

    The candidates of a job race for the best ``keep``, each of which is lost with probability ``error`` at most;
    ``error`` 0: all are evaluated on all rows. None of these depends on the number of workers, nor does the result.
    """

    candidates: int = CANDIDATES
    batch: int = 32
    job: int = 16
    keep: int = 4
    error: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class RoundState:
    """How far a search has come: ``done`` of ``total`` candidates. ``best`` is None before one has run to the end."""

    done: int
    total: int
    round: int
    best: Ranked | None
    ranked: Sequence[Ranked]


@dataclass(frozen=True)
class SearchResult:
    """``ranked`` candidates within the budgets, best first, under ``space`` as measurements left it."""

    space: SearchSpace
    history: Sequence[ScoredTrial]
    ranked: Sequence[Ranked]


def aims_of(space: SearchSpace) -> tuple[Aim, ...]:
    """What a search in ``space`` has to weigh: more than the score only where candidates differ in it."""
    aims: list[Aim] = ["score"]
    if any(own.latency is not None for own in space.patterns.values()):
        aims.append("latency_ms")
    if space.goal.ratio_is_free:
        aims.append("kept_weights")
    return tuple(aims)


class Search:
    """A search that can be stopped at any moment and taken up again: all that it knows is in its study."""

    def __init__(
        self,
        space: SearchSpace,
        study: Study,
        sampler: Sampler,
        executor: Executor,
        settings: SearchSettings,
        hardware: HardwareLoop | None = None,
    ) -> None:
        self._space, self._study, self._sampler = space, study, sampler
        self._executor, self._settings, self._hardware = executor, settings, hardware
        self._aims = aims_of(space)
        self._trials = {trial.number: trial for trial in study.trials()}
        if hardware is not None:
            self._space = hardware.fitted(space, study)

    def run(self, report: Callable[[RoundState], None] = lambda state: None) -> SearchResult:
        """Try what is still to be tried. ``report`` is called after every job."""
        rounds = math.ceil(self._settings.candidates / self._settings.batch)
        for number in range(rounds):
            size = min(self._settings.batch, self._settings.candidates - number * self._settings.batch)
            self._complete_round(number, size)
            self._evaluate(number, report)
            # Where there is a next round already, this one was measured before that was proposed.
            if not self._in_round(number + 1):
                self._measure()
        return self.result()

    def result(self) -> SearchResult:
        """The best so far."""
        history = self._history()
        measured = self._study.measurements()
        return SearchResult(self._space, history, rank(self._space, history, measured))

    def _history(self, before: int | None = None) -> list[ScoredTrial]:
        trials = [trial for trial in self._trials.values() if before is None or trial.round < before]
        return scored(sorted(trials, key=lambda trial: trial.number))

    def _in_round(self, number: int) -> list[Trial]:
        return [trial for trial in self._trials.values() if trial.round == number]

    def _complete_round(self, number: int, size: int) -> None:
        """Propose what a round still lacks; an interrupted round gets what it would have had."""
        present = len(self._in_round(number))
        if present >= size:
            return
        # Always a whole batch, of which a last, shorter round takes the first.
        batch, seed = self._settings.batch, self._settings.seed
        proposals = propose_round(self._sampler, self._space, self._history(number), batch, seed, number)
        self._study.add(number, proposals[present:size])
        self._trials = {trial.number: trial for trial in self._study.trials()}

    def _evaluate(self, number: int, report: Callable[[RoundState], None]) -> None:
        """Score the trials of a round; jobs are cut the same way whatever has been scored before."""
        trials = self._in_round(number)
        known = {item.candidate: item.outcome for item in self._history(number)}
        jobs: dict[int, tuple[Job, list[Trial]]] = {}
        for group in self._groups(trials):
            again = [trial for trial in group if trial.candidate in known]
            for trial in again:
                self._tell(trial, known[trial.candidate])
            fresh = [trial for trial in group if trial not in again]
            if any(self._trials[trial.number].outcome is None for trial in fresh):
                job = Job(len(jobs), tuple(trial.candidate for trial in fresh), self._keep(), self._settings.error)
                jobs[job.number] = (job, fresh)
        for result in self._executor.run([job for job, _ in jobs.values()]):
            _, group = jobs[result.number]
            most = max(score.rows for score in result.scores)
            for trial, score in zip(group, result.scores, strict=True):
                self._tell(trial, self._outcome(trial, score, lost=score.rows < most))
            report(self._state(number))

    def _groups(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """Jobs hold candidates of one pattern."""
        size = self._settings.job
        groups = []
        for pattern in self._space.patterns:
            own = [trial for trial in trials if trial.candidate.pattern == pattern]
            groups += [own[first : first + size] for first in range(0, len(own), size)]
        return groups

    def _keep(self) -> int | None:
        return self._settings.keep if self._settings.error else None

    def _outcome(self, trial: Trial, score: Score, lost: bool) -> Outcome:
        found = {name: fact for name, fact in asdict(score).items() if isinstance(fact, int | float)}
        outcome = Outcome(score.value, (), found, lost)
        candidate = trial.candidate
        own = self._space.patterns[candidate.pattern]
        kept = own.grid.kept_of([candidate])
        by_aim: Mapping[Aim, float] = {
            "score": score.value,
            "latency_ms": float(own.latencies(kept)[0]),
            "kept_weights": float(own.grid.kept_weights(kept)[0]),
        }
        return replace(outcome, values=tuple(by_aim[aim] for aim in self._aims))

    def _tell(self, trial: Trial, outcome: Outcome) -> None:
        if self._trials[trial.number].outcome is None:
            self._study.tell(trial, outcome)
            self._trials[trial.number] = replace(trial, outcome=outcome)

    def _measure(self) -> None:
        """Measure the finalists so far, and predict from then on with what was learnt."""
        if self._hardware is not None:
            self._space = self._hardware.measure_finalists(self._space, self._study, self.result().ranked)

    def _state(self, number: int) -> RoundState:
        result = self.result()
        done = sum(trial.outcome is not None for trial in self._trials.values())
        best = result.ranked[0] if result.ranked else None
        return RoundState(done, self._settings.candidates, number, best, result.ranked)
