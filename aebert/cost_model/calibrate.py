"""Calibration: run records in, a model with its leave-one-design-out errors out; a worse one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from aebert.cost_model.calibrated_model import CalibratedModel, CalibratedQuantity, quantity_of
from aebert.cost_model.fit import fit
from aebert.cost_model.leave_one_out import HeldOut, leave_one_out
from aebert.cost_model.observations import Floats, Observations, distinct
from aebert.cost_model.quantities import QUANTITIES, Quantity
from aebert.cost_model.record_facts import Facts, facts_of
from aebert.errors import AebertError
from aebert.records import Source, StoredRecord

LEFT_OUT = "design"
MIN_RUNS = 4
MIN_DESIGNS = 2
# A new model may be this much worse in mean |log error| than the old one: rounding, no more.
TOLERANCE = 1e-6

Track = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class CalibratedRuns:
    """One quantity: its runs and what was predicted for each without its design."""

    quantity: Quantity
    observations: Observations
    held_out: HeldOut


@dataclass(frozen=True)
class Calibration:
    """``too_few``: quantities left out, each with its numbers of runs and designs."""

    model: CalibratedModel
    runs: tuple[CalibratedRuns, ...]
    too_few: tuple[tuple[str, int, int], ...]


def calibrate(
    records: Sequence[StoredRecord], board: str, sources: Sequence[Source] = (), track: Track = iter
) -> Calibration:
    """Fits every quantity that has `MIN_RUNS` runs of `MIN_DESIGNS` designs, on all boards: others inform this one.

    ``sources``: only records from these; all when empty. ``track`` may show progress over the quantities.
    Raises AebertError when there is none, or no run of ``board`` at all, saying how many are needed.
    """
    chosen = [stored for stored in records if not sources or stored.record.source in sources]
    facts = facts_of(chosen)
    fitted, few = [], []
    for name in track([name for name in QUANTITIES if facts.of.get(name)]):
        quantity = QUANTITIES[name]
        observations = facts.observations(quantity)
        designs = len(distinct(observations.groups[LEFT_OUT]))
        if len(observations) < MIN_RUNS or designs < MIN_DESIGNS:
            few.append((name, len(observations), designs))
        else:
            fitted.append(CalibratedRuns(quantity, observations, leave_one_out(observations, quantity.prior, LEFT_OUT)))
    _require(board, facts, fitted, few)
    model = CalibratedModel(
        board, tuple(sorted(sources)), version("aebert"), {each.quantity.name: _fitted(each) for each in fitted}
    )
    return Calibration(model, tuple(fitted), tuple(few))


def _require(board: str, facts: Facts, fitted: Sequence[CalibratedRuns], few: Sequence[tuple[str, int, int]]) -> None:
    needed = f"at least {MIN_RUNS} runs of {MIN_DESIGNS} designs"
    how = f"add some with aebert measure PROJECT --store, of projects for board {board}"
    of_board = any(fact.groups.get("board") == board for found in facts.of.values() for fact in found)
    if not of_board:
        unused = "".join(f"; {count} records {why}" for why, count in facts.unused.items())
        raise AebertError(f"board {board}: no usable run of it{unused}; {needed} are needed: {how}")
    if not fitted:
        have = ", ".join(f"{name}: {runs} of {designs}" for name, runs, designs in few)
        raise AebertError(f"board {board}: too few runs ({have}); {needed} of one quantity are needed: {how}")


def _fitted(runs: CalibratedRuns) -> CalibratedQuantity:
    held_out = dict(zip(runs.observations.names, runs.held_out.residuals.round(6).tolist(), strict=True))
    return quantity_of(
        fit(runs.observations, runs.quantity.prior),
        runs.held_out.bounds(),
        len(distinct(runs.observations.groups[LEFT_OUT])),
        held_out,
    )


@dataclass(frozen=True)
class Comparison:
    """Mean |log(measured / predicted)| of a quantity over ``runs`` runs that either model saw or could predict."""

    quantity: str
    old: float
    new: float
    runs: int


def compare(old: CalibratedModel, new: CalibratedModel, records: Sequence[StoredRecord]) -> tuple[Comparison, ...]:
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
            found.append(Comparison(name, old_error, new_error, len(seen)))
    return tuple(found)


def _residuals(model: CalibratedQuantity, observations: Observations) -> Floats:
    strangers = {level: labels for level, labels in observations.groups.items() if level != LEFT_OUT}
    mean, _ = model.fit.predict(observations.amounts, strangers)
    own = np.log(observations.measured) - mean
    return np.array([model.held_out.get(name, left) for name, left in zip(observations.names, own, strict=True)])


def require_no_worse(old: CalibratedModel, new: CalibratedModel, records: Sequence[StoredRecord], name: str) -> None:
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
