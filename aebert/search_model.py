"""The search step on folders: model directory and calibration rows -> run directory with the best subnets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aebert.calibration import Text
from aebert.cores import share_cores, usable_cores
from aebert.encoder import Encoder, EncoderLayer
from aebert.errors import AebertError
from aebert.json_digest import json_digest
from aebert.models import load_encoder
from aebert.models.host import load_host_model
from aebert.progress import Progress, count_through, no_progress
from aebert.pruning.patterns import parse_pattern
from aebert.search.arithmetic import find_device
from aebert.search.candidates import Granularity
from aebert.search.choice import Ranked, pareto_front
from aebert.search.executor import Executor, Specs
from aebert.search.hardware import HardwareLoop
from aebert.search.latency import CostModel
from aebert.search.measurer import Measurer
from aebert.search.results import SubnetWriter, write_results
from aebert.search.run_directory import RunDirectory, Setting, locked, open_run
from aebert.search.samplers import RandomSampler, Sampler, SamplerName
from aebert.search.scorer import Scorer, ScorerSettings, ScorerSpec, prepare_scorer
from aebert.search.search import Search, SearchResult, SearchSettings, State, aims_of
from aebert.search.sensitivity import Surrogate
from aebert.search.space import Goal, SearchSpace, make_space
from aebert.search.study import Study, sqlite_url, without_password
from aebert.search.summarise import summarise
from aebert.search.summary import write_summary
from aebert.search.surrogate_file import measured_surrogate
from aebert.tasks import Task

DEFAULT_FRONT = 6


@dataclass(frozen=True)
class CalibrationRows:
    """What candidates are scored on: ``texts``, with ``labels`` of ``task`` or, for fidelity, without both."""

    texts: Sequence[Text]
    labels: Sequence[int | float] | None = None
    task: Task | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over texts, labels and the task's name."""
        name = None if self.task is None else self.task.name
        labels = None if self.labels is None else list(self.labels)
        return json_digest([name, list(self.texts), labels])


@dataclass(frozen=True)
class SearchPlan:
    """What is searched, and how; all of it is kept with the run, but for the number of candidates."""

    goal: Goal
    patterns: tuple[str, ...] = ("vector:4x1",)
    granularity: Granularity = "matrix"
    levels: int | None = None
    sampler: SamplerName = "surrogate"
    scorer: ScorerSettings = field(default_factory=ScorerSettings)
    settings: SearchSettings = field(default_factory=SearchSettings)


@dataclass(frozen=True)
class Workers:
    """Where candidates are evaluated: ``count`` local processes of ``threads`` threads, or the Dask ``scheduler``.

    None: as many processes, or threads for the processes given, as use the cores of this machine
    (``aebert.cores.share_cores``); threads of a Dask worker: those that it was started with.
    """

    count: int | None = None
    threads: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class Found:
    """The outcome of a search: ``best`` is in ``run.best``, the ``front`` in ``run.front``."""

    run: RunDirectory
    best: Ranked
    front: Sequence[Ranked]
    result: SearchResult


def search(
    model: Path | str,
    output: Path | str,
    rows: CalibrationRows,
    plan: SearchPlan,
    *,
    costs: CostModel | None = None,
    measurer: Measurer | None = None,
    workers: Workers = Workers(),
    storage: str | None = None,
    most_front: int = DEFAULT_FRONT,
    resume: bool = False,
    context: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
    report: Callable[[State], None] = lambda state: None,
) -> Found:
    """Search the best subnets of ``model`` within the budgets of ``plan``; the folder ``output`` holds what is found.

    ``costs`` predicts latencies and ``measurer`` measures those of finalists. ``storage`` is the SQLAlchemy URL of the
    study [default: SQLite in ``output``]. An interrupt (KeyboardInterrupt) writes the best so far before it goes on; a
    run that was stopped in any way continues with ``resume``. ``context`` (board, task, ...) is kept for reports.

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
    run = open_run(directory, _settings(encoder, rows, plan, costs, measurer, storage), resume)
    with locked(run):
        scorers = _prepare(source, encoder, rows, space, plan, run, progress)
        writer = SubnetWriter(source, encoder.digest, scorers, plan.settings.seed)
        hardware = None
        if measurer is not None and costs is not None:
            hardware = HardwareLoop(measurer, costs, writer.write, directory)
        study = Study(storage or sqlite_url(run.study_file), run.study_name, aims_of(space))
        surrogates: dict[str, Surrogate] = {}

        def write(result: SearchResult) -> Found | None:
            found = _write(run, result, writer, most_front)
            if found is not None:
                _summarise(found, space, study, scorers, surrogates, context or {})
            return found

        specs = {name: _settled(scorer) for name, scorer in scorers.items()}
        with _executor(specs, workers) as executor:
            if plan.sampler == "surrogate":
                for name, scorer in scorers.items():
                    surrogates[name] = measured_surrogate(scorer, run.prepared, executor, progress)
            sampler = _sampler(plan, space, surrogates)
            running = Search(space, study, sampler, executor, plan.settings, hardware)
            try:
                result = running.run(report)
            except KeyboardInterrupt:
                executor.close()
                write(running.result())
                raise
        found = write(result)
        study.close()
    if found is None:
        raise AebertError(f"{output}: no candidate is within the latency budget as measured; allow more")
    return found


def _without_race(plan: SearchPlan, rows: CalibrationRows) -> SearchPlan:
    """Metrics are no means over rows, so candidates cannot race for them."""
    if plan.scorer.objective != "metric":
        return plan
    return replace(plan, settings=replace(plan.settings, error=0.0))


def _settings(
    encoder: Encoder,
    rows: CalibrationRows,
    plan: SearchPlan,
    costs: CostModel | None,
    measurer: Measurer | None,
    storage: str | None,
) -> dict[str, Setting]:
    recipe = plan.scorer.recipe
    own = {name: value for name, value in asdict(plan.settings).items() if name != "candidates"}
    return {
        "model": encoder.digest,
        "calibration rows": rows.digest,
        "pattern": list(plan.patterns),
        "ratio": plan.goal.low,
        "highest ratio": plan.goal.high,
        "latency_ms": plan.goal.latency_ms,
        "design": None if costs is None else costs.digest,
        "granularity": plan.granularity,
        "levels": plan.levels,
        "sampler": plan.sampler,
        "objective": plan.scorer.objective,
        "saliency": recipe.saliency,
        "compensate": recipe.compensate,
        "precision": plan.scorer.precision,
        "hardware in the loop": measurer is not None,
        "storage": None if storage is None else without_password(storage),
        **own,
    }


def _prepare(
    source: Path,
    encoder: Encoder,
    rows: CalibrationRows,
    space: SearchSpace,
    plan: SearchPlan,
    run: RunDirectory,
    progress: Progress,
) -> dict[str, Scorer]:
    host = load_host_model(source)
    scorers = {}
    for name, own in space.patterns.items():
        step = f"prepare {name}"

        def track(layers: Sequence[EncoderLayer], step: str = step) -> Iterator[EncoderLayer]:
            return count_through(layers, step, len(layers), progress)

        scorers[name] = prepare_scorer(
            host, encoder, rows.texts, rows.labels, rows.task, own.grid, run.prepared, plan.scorer, track
        )
    return scorers


def _settled(scorer: Scorer) -> ScorerSpec:
    """What workers open: they compute in the precision of this machine, whatever their own would be."""
    return replace(scorer.spec, settings=replace(scorer.spec.settings, precision=scorer.precision))


def _sampler(plan: SearchPlan, space: SearchSpace, surrogates: Mapping[str, Surrogate]) -> Sampler:
    if plan.sampler == "random":
        return RandomSampler()
    if plan.sampler == "surrogate":
        from aebert.search.surrogate_sampler import SurrogateSampler

        return SurrogateSampler(surrogates)
    from aebert.search.optuna_samplers import CmaEsSampler, OptunaSampler

    batch = plan.settings.batch
    if plan.sampler == "cmaes":
        return CmaEsSampler(batch // len(space.patterns))
    return OptunaSampler(plan.sampler, aims_of(space), batch)


@contextmanager
def _executor(specs: Specs, workers: Workers) -> Iterator[Executor]:
    executor: Executor
    if workers.scheduler is not None:
        from aebert.search.dask_executor import DaskExecutor

        executor = DaskExecutor(specs, workers.scheduler, workers.threads)
    else:
        from aebert.search.local_executor import LocalExecutor

        executor = LocalExecutor(specs, *share_cores(usable_cores(), workers.count, workers.threads))
    try:
        yield executor
    finally:
        executor.close()


def _write(run: RunDirectory, result: SearchResult, writer: SubnetWriter, most_front: int) -> Found | None:
    if not result.ranked:
        return None
    best = result.ranked[0]
    front = pareto_front(result.ranked, most_front)
    write_results(run, front, best, writer)
    return Found(run, best, front, result)


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
        scorer.objective,
        surrogates,
        context,
    )
    write_summary(found.run.directory, summary)
