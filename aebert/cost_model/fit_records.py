"""FittedRecords: run records in, a model with its leave-one-design-out errors out; a worse one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from aebert.cost_model.fitted_model import FittedModel, FittedQuantity, quantity_of
from aebert.cost_model.fitted_quantities import QUANTITIES, Quantity
from aebert.cost_model.leave_one_out import HeldOut, leave_one_out
from aebert.cost_model.observations import Floats, Observations, distinct
from aebert.cost_model.record_facts import Facts, facts_of
from aebert.cost_model.robust_fit import fit
from aebert.records.database import StoredRecord
from aebert.records.record import Source
from aebert.support.errors import AebertError

LEFT_OUT = "design"
# A new model may be this much worse in mean |log error| than the old one: rounding, no more.
TOLERANCE = 1e-6

Track = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class FittedRuns:
    """One quantity: its runs and what was predicted for each without its design."""

    quantity: Quantity
    observations: Observations
    held_out: HeldOut


@dataclass(frozen=True)
class FittedRecords:
    """The model, and what it rests on."""

    model: FittedModel
    runs: tuple[FittedRuns, ...]


def fit_records(
    records: Sequence[StoredRecord], board: str, sources: Sequence[Source] = (), track: Track = iter
) -> FittedRecords:
    """Fits every quantity that has a run, on all boards: others inform this one.

    ``sources``: only records from these; all when empty. ``track`` may show progress over the quantities.
    Raises AebertError when there is none, or no run of ``board`` at all, saying how to get one.
    """
    chosen = [stored for stored in records if not sources or stored.record.source in sources]
    facts = facts_of(chosen)
    fitted = []
    for name in track([name for name in QUANTITIES if facts.of.get(name)]):
        quantity = QUANTITIES[name]
        observations = facts.observations(quantity)
        fitted.append(FittedRuns(quantity, observations, leave_one_out(observations, quantity.prior, LEFT_OUT)))
    _require(board, facts)
    model = FittedModel(
        board, tuple(sorted(sources)), version("aebert"), {each.quantity.name: fitted_quantity(each) for each in fitted}
    )
    return FittedRecords(model, tuple(fitted))


def _require(board: str, facts: Facts) -> None:
    if any(fact.groups.get("board") == board for found in facts.of.values() for fact in found):
        return
    unused = "".join(f"; {count} records {why}" for why, count in facts.unused.items())
    raise AebertError(
        f"board {board}: no usable run of it{unused}; one is enough to begin with: aebert measure PROJECT --store, or "
        f"aebert runs import PROJECT after make csynth, of a project for board {board}"
    )


def fitted_quantity(runs: FittedRuns) -> FittedQuantity:
    """The fit to all runs of one quantity, with the errors they had when they were left out."""
    held_out = dict(zip(runs.observations.names, runs.held_out.residuals.round(6).tolist(), strict=True))
    return quantity_of(
        fit(runs.observations, runs.quantity.prior),
        runs.held_out.bounds(),
        len(distinct(runs.observations.groups[LEFT_OUT])),
        held_out,
        _of_structure(runs),
    )


def _of_structure(runs: FittedRuns) -> dict[str, tuple[float, ...]]:
    """log(measured / the structure's own value) of every run, by design."""
    observations = runs.observations
    ratios = np.log(observations.measured / (observations.amounts @ runs.quantity.prior.centre))
    found: dict[str, tuple[float, ...]] = {}
    for design, ratio in zip(runs.held_out.groups, ratios.round(6).tolist(), strict=True):
        found[design] = (*found.get(design, ()), ratio)
    return found


@dataclass(frozen=True)
class FitComparison:
    """Mean |log(measured / predicted)| of a quantity over ``runs`` runs that either model saw or could predict."""

    quantity: str
    old: float
    new: float
    runs: int


def compare(old: FittedModel, new: FittedModel, records: Sequence[StoredRecord]) -> tuple[FitComparison, ...]:
    """Both models on the union of their runs, each run predicted without its design.

    A run that a model was fitted on counts with the residual it was left out with; any other with the model's own
    prediction. Runs that only one model saw and that are not among ``records`` are left out.
    """
    facts = facts_of(records)
    found = []
    for name, before in old.quantities.items():
        after = new.quantities.get(name)
        if after is None:
            continue
        observations = facts.observations(QUANTITIES[name]) if name in QUANTITIES else None
        if observations is None or observations.terms != before.terms or observations.terms != after.terms:
            continue
        digests = set(before.held_out) | set(after.held_out)
        seen = observations.take(np.array([each in digests for each in observations.names], np.bool_))
        if len(seen):
            old_error, new_error = (float(np.mean(np.abs(_residuals(model, seen)))) for model in (before, after))
            found.append(FitComparison(name, old_error, new_error, len(seen)))
    return tuple(found)


def _residuals(model: FittedQuantity, observations: Observations) -> Floats:
    strangers = {level: labels for level, labels in observations.groups.items() if level != LEFT_OUT}
    mean, _ = model.fit.predict(observations.amounts, strangers)
    own = np.log(observations.measured) - mean
    return np.array([model.held_out.get(name, left) for name, left in zip(observations.names, own, strict=True)])


def require_no_worse(old: FittedModel, new: FittedModel, records: Sequence[StoredRecord], name: str) -> None:
    """``name``: of the old model's file. Raises AebertError when the new model is of another board, lacks a quantity or
    predicts one worse."""
    if old.board != new.board:
        raise AebertError(f"{name}: holds a model of board {old.board}, not {new.board}; use another file, or --force")
    missing = sorted(set(old.quantities) - set(new.quantities))
    if missing:
        raise AebertError(f"{name}: the model there has {', '.join(missing)}, the new one has not; keep it, or --force")
    for each in compare(old, new, records):
        if each.new > each.old + TOLERANCE:
            raise AebertError(
                f"{name}: the model there is better: {each.quantity} {each.old:.2%} mean error against {each.new:.2%} "
                f"over {each.runs} runs, each left out with its design; keep it, or replace it with --force"
            )
