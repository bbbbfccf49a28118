"""The search step on folders: model directory and scoring rows -> run directory with the best subnets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aebert.cost_model.measurer import Measurer
from aebert.cost_model.protocols import CostModel
from aebert.models import load_encoder
from aebert.models.calibration_text import MAX_TOKENS, MIN_TOKENS
from aebert.models.encoder import Encoder, EncoderLayer
from aebert.models.host_model import load_host_model
from aebert.models.text import Text
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.run.choice import Ranked, finalists, pareto_front
from aebert.search.run.hardware_in_the_loop import HardwareLoop
from aebert.search.run.refinement import Refiner
from aebert.search.run.refining_rows import held_out
from aebert.search.run.results import SubnetWriter, write_results
from aebert.search.run.rounds import RoundState, Search, SearchResult, SearchSettings, aims_of
from aebert.search.run.run_directory import RunDirectory, Setting, locked, open_run, rows_digest
from aebert.search.run.study import Study, check_storage, sqlite_url, without_password
from aebert.search.run.summarise import summarise
from aebert.search.run.summary import write_summary
from aebert.search.sampling.samplers import OptunaName, RandomSampler, Sampler, own_sampler
from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.sampling.surrogate_file import measured_surrogate
from aebert.search.scoring.arithmetic import find_device
from aebert.search.scoring.embedded_rows import prepare_rows
from aebert.search.scoring.scorer import Scorer, ScorerSettings, ScorerSpec, Track, prepare_scorer
from aebert.search.space.grid import Granularity
from aebert.search.space.search_space import Goal, SearchSpace, make_space
from aebert.search.workers.executor import Executor, Specs
from aebert.support.cores import share_cores, usable_cores
from aebert.support.errors import AebertError
from aebert.support.extensions import method_name
from aebert.support.json_digest import json_digest
from aebert.support.progress import Progress, count_through, no_progress
from aebert.tasks import Task

DEFAULT_FRONT = 6
DEFAULT_FINALISTS = 4


@dataclass(frozen=True)
class ScoringRows:
    """What candidates are scored on: ``texts``, with ``labels`` of ``task`` or, for fidelity, without both.

    ``refining``: the texts that finalists are refined on, without labels; None: ``texts``.
    """

    texts: Sequence[Text]
    labels: Sequence[int | float] | None = None
    task: Task | None = None
    refining: Sequence[Text] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over texts, labels and the task's name."""
        return rows_digest(self.texts, self.labels, None if self.task is None else self.task.name)


@dataclass(frozen=True)
class SearchPlan:
    """What is searched, and how; all of it is kept with the run, but for the number of candidates and refining.

    ``sampler``: a name (``SAMPLER_NAMES``, or one that a package offers), or a sampler of one's own; likewise the
    saliency and the objective in ``scorer``. See docs/own_methods.md.
    ``refine``: end with the subnets of the front and the ``finalists`` best refined, and take the best of those.
    """

    goal: Goal
    patterns: tuple[str, ...] = ("vector:4x1",)
    granularity: Granularity = "matrix"
    levels: int | None = None
    sampler: str | Sampler = "surrogate"
    scorer: ScorerSettings = field(default_factory=ScorerSettings)
    settings: SearchSettings = field(default_factory=SearchSettings)
    refine: bool = True
    finalists: int = DEFAULT_FINALISTS


@dataclass(frozen=True)
class Workers:
    """Where candidates are evaluated: ``count`` local processes of ``threads`` threads, or the Dask ``scheduler``.

    None: as many processes, or threads for the processes given, as use the cores of this machine
    (``aebert.support.cores.share_cores``); threads of a Dask worker: those that it was started with.
    """

    count: int | None = None
    threads: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class Found:
    """The outcome of a search: ``best`` is in ``run.best``, the ``front`` in ``run.front``.

    ``refined``: all finalists, best first, fitted to ``refining_rows`` texts; none where refining was turned off.
    ``flat``: the candidates with one ratio everywhere.
    """

    run: RunDirectory
    best: Ranked
    front: Sequence[Ranked]
    result: SearchResult
    refined: Sequence[Ranked] = ()
    refining_rows: int = 0
    flat: frozenset[Candidate] = frozenset()


def search(
    model: Path | str,
    output: Path | str,
    rows: ScoringRows,
    plan: SearchPlan,
    *,
    costs: CostModel | None = None,
    measurer: Measurer | None = None,
    workers: Workers = Workers(),
    storage: str | None = None,
    most_front: int = DEFAULT_FRONT,
    prepared: Path | None = None,
    resume: bool = False,
    context: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
    report: Callable[[RoundState], None] = lambda state: None,
) -> Found:
    """Search the best subnets of ``model`` within the budgets of ``plan``; the folder ``output`` holds what is found.

    ``costs`` predicts latencies and ``measurer`` measures those of finalists. ``storage`` is the SQLAlchemy URL of the
    study [default: SQLite in ``output``]; ``prepared`` a folder for what scorers are made of, which searches of any
    models and rows may share [default: in ``output``]. An interrupt (KeyboardInterrupt) writes the best so far before
    it goes on; a run that was stopped in any way continues with ``resume``. ``context`` (board, task, ...) is kept for
    reports.

    Raises AebertError for budgets that cannot be met and for a run with other settings.
    """
    source, directory = Path(model).absolute(), Path(output).absolute()
    find_device(plan.scorer.device)
    encoder = load_encoder(source)
    patterns = [parse_pattern(name) for name in plan.patterns]
    space = make_space(encoder.shape, patterns, plan.goal, plan.granularity, plan.levels, costs)
    plan = _without_race(plan, rows)
    if measurer is not None and costs is None:
        raise AebertError("hardware in the loop needs a design to predict on; name a board")
    if storage is not None:
        check_storage(storage)  # before there is a folder of the run
    run = open_run(directory, _settings(encoder, rows, plan, costs, measurer, storage), resume)
    with locked(run):
        store = run.prepared if prepared is None else prepared.absolute() / _store_name(encoder, rows)
        scorers = _prepare(source, encoder, rows, space, plan, store, progress)
        writer = SubnetWriter(source, encoder.digest, scorers, plan.settings.seed)
        hardware = None
        if measurer is not None and costs is not None:
            hardware = HardwareLoop(measurer, costs, writer.write, directory)
        study = Study(storage or sqlite_url(run.study_file), run.study_name, aims_of(space))
        surrogates: dict[str, Surrogate] = {}

        def write(result: SearchResult, refiner: Refiner | None = None) -> Found | None:
            found = _choose(run, result, plan, most_front, refiner, progress)
            if found is not None:
                own = SubnetWriter(source, encoder.digest, scorers, plan.settings.seed, refiner)
                write_results(run, found.front, found.best, own)
                _summarise(found, space, study, scorers, surrogates, context or {})
            return found

        specs = {name: _settled(scorer) for name, scorer in scorers.items()}
        with _executor(specs, workers) as executor:
            if plan.sampler == "surrogate":
                for name, scorer in scorers.items():
                    surrogates[name] = measured_surrogate(scorer, store, executor, progress)
            sampler = _sampler(plan, space, surrogates)
            running = Search(space, study, sampler, executor, plan.settings, hardware)
            try:
                result = running.run(report)
            except KeyboardInterrupt:
                executor.close()
                write(running.result())
                raise
        if plan.refine:
            refiner = _refiner(source, encoder, rows, scorers, run)
            try:
                found = write(result, refiner)
            except KeyboardInterrupt:
                write(result)
                raise
            refiner.clear()
        else:
            found = write(result)
        study.close()
    if found is None:
        raise AebertError(f"{output}: no candidate is within the latency budget as measured; allow more")
    return found


def _without_race(plan: SearchPlan, rows: ScoringRows) -> SearchPlan:
    """Metrics are no means over rows, so candidates cannot race for them."""
    if plan.scorer.objective != "metric":
        return plan
    return replace(plan, settings=replace(plan.settings, error=0.0))


def _settings(
    encoder: Encoder,
    rows: ScoringRows,
    plan: SearchPlan,
    costs: CostModel | None,
    measurer: Measurer | None,
    storage: str | None,
) -> dict[str, Setting]:
    recipe = plan.scorer.recipe
    own = {name: value for name, value in asdict(plan.settings).items() if name != "candidates"}
    return {
        "model": encoder.digest,
        "scoring rows": rows.digest,
        "pattern": list(plan.patterns),
        "ratio": plan.goal.low,
        "highest ratio": plan.goal.high,
        "latency_ms": plan.goal.latency_ms,
        "design": None if costs is None else costs.digest,
        "granularity": plan.granularity,
        "levels": plan.levels,
        "sampler": method_name(plan.sampler),
        "objective": None if plan.scorer.objective is None else method_name(plan.scorer.objective),
        "saliency": None if recipe.saliency is None else method_name(recipe.saliency),
        "compensate": recipe.compensate,
        "gradual": recipe.gradual,
        "precision": plan.scorer.precision,
        "hardware in the loop": measurer is not None,
        "storage": None if storage is None else without_password(storage),
        **own,
    }


def _prepare(
    source: Path,
    encoder: Encoder,
    rows: ScoringRows,
    space: SearchSpace,
    plan: SearchPlan,
    store: Path,
    progress: Progress,
) -> dict[str, Scorer]:
    host = load_host_model(source)
    scorers = {}
    for name, own in space.patterns.items():
        scorers[name] = prepare_scorer(
            host,
            encoder,
            rows.texts,
            rows.labels,
            rows.task,
            own.grid,
            store,
            plan.scorer,
            _track(f"rows for {name}", progress),
            _track(f"weights of {name}", progress),
        )
    return scorers


def _track(step: str, progress: Progress) -> Track:
    def track(layers: Sequence[EncoderLayer]) -> Iterator[EncoderLayer]:
        return count_through(layers, step, len(layers), progress)

    return track


def _store_name(encoder: Encoder, rows: ScoringRows) -> str:
    """The folder of one model and its rows in a shared one: searches of any ratio, pattern and seed find it."""
    return json_digest([encoder.digest, rows.digest])[:16]


def _settled(scorer: Scorer) -> ScorerSpec:
    """What workers open: they compute in the precision of this machine, whatever their own would be."""
    return replace(scorer.spec, settings=replace(scorer.spec.settings, precision=scorer.precision))


def _sampler(plan: SearchPlan, space: SearchSpace, surrogates: Mapping[str, Surrogate]) -> Sampler:
    if plan.sampler == "random":
        return RandomSampler()
    if plan.sampler == "surrogate":
        from aebert.search.sampling.surrogate_sampler import SurrogateSampler

        return SurrogateSampler(surrogates)
    batch = plan.settings.batch
    if plan.sampler == "cmaes":
        from aebert.search.sampling.optuna_samplers import CmaEsSampler

        return CmaEsSampler(batch // len(space.patterns))
    optuna: dict[object, OptunaName] = {"tpe": "tpe", "nsga2": "nsga2"}
    if isinstance(plan.sampler, str) and plan.sampler in optuna:
        from aebert.search.sampling.optuna_samplers import OptunaSampler

        return OptunaSampler(optuna[plan.sampler], aims_of(space), batch)
    return own_sampler(plan.sampler) if isinstance(plan.sampler, str) else plan.sampler


@contextmanager
def _executor(specs: Specs, workers: Workers) -> Iterator[Executor]:
    executor: Executor
    if workers.scheduler is not None:
        from aebert.search.workers.dask_cluster import DaskExecutor

        executor = DaskExecutor(specs, workers.scheduler, workers.threads)
    else:
        from aebert.search.workers.local import LocalExecutor

        executor = LocalExecutor(specs, *share_cores(usable_cores(), workers.count, workers.threads))
    try:
        yield executor
    finally:
        executor.close()


def _refiner(
    source: Path, encoder: Encoder, rows: ScoringRows, scorers: Mapping[str, Scorer], run: RunDirectory
) -> Refiner:
    """Where scored rows are refined on too, finalists are compared on some that they were not fitted to."""
    host = load_host_model(source)
    texts = rows.texts if rows.refining is None else rows.refining
    held = held_out(rows.texts, texts)
    judging = [rows.texts[row] for row in held]
    if sum(len(row) for row in host.tokenise(judging, MAX_TOKENS)) < MIN_TOKENS:
        return Refiner(host, encoder, texts, scorers, run.refined)
    labels = None if rows.labels is None else [rows.labels[row] for row in held]
    own = prepare_rows(host, encoder, judging, labels, run.refined / "held-out")
    judges = {name: scorer.on_rows(own) for name, scorer in scorers.items()}
    apart = set(judging)
    return Refiner(host, encoder, texts, scorers, run.refined, judges, [text for text in texts if text not in apart])


def _choose(
    run: RunDirectory,
    result: SearchResult,
    plan: SearchPlan,
    most_front: int,
    refiner: Refiner | None,
    progress: Progress,
) -> Found | None:
    """The best and the front: of the finalists once they are refined, where there is a ``refiner``."""
    if not result.ranked:
        return None
    flat = frozenset(proposal.candidate for proposal in result.space.uniform())
    if refiner is None:
        return Found(run, result.ranked[0], pareto_front(result.ranked, most_front), result, flat=flat)
    refined = refiner.refine(finalists(result.ranked, flat, most_front, plan.finalists), progress)
    front = pareto_front(refined, most_front)
    refiner.settle([refined[0], *(item for item in front if item != refined[0])], progress)
    return Found(run, refined[0], front, result, refined, refiner.rows, flat)


def _summarise(
    found: Found,
    space: SearchSpace,
    study: Study,
    scorers: Mapping[str, Scorer],
    surrogates: Mapping[str, Surrogate],
    context: Mapping[str, str],
) -> None:
    scorer = next(iter(scorers.values()))
    summary = summarise(
        space,
        found.result,
        found.front,
        study.measurements(),
        scorer.dense_score,
        method_name(scorer.objective),
        surrogates,
        context,
        found.best,
        found.refined,
        found.refining_rows,
    )
    write_summary(found.run.directory, summary)
