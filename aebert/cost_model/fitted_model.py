"""A fitted model: coefficients, error bars and the digests of the runs they rest on, as one small JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from scipy.stats import binom

from aebert.cost_model.intervals import Bound
from aebert.cost_model.observations import Floats
from aebert.cost_model.robust_fit import Fit, Level
from aebert.cost_model.spread import COVERAGE, Spread
from aebert.support.atomic_files import write_text
from aebert.support.checked_files import parse_json
from aebert.support.errors import AebertError
from aebert.support.input_files import read_input

SCHEMA_VERSION = 2
_SURPRISE = 0.05
_SIZE_LIMIT = 1 << 26
_AGAIN = "run aebert fit-cost again"


@dataclass(frozen=True)
class Estimate:
    """``median`` [runs] with the interval [``low``, ``high``] that holds the measured value in ``level`` of cases.

    ``assumed``: too few designs were measured to promise ``level``; the interval then follows Student's t.
    """

    median: Floats
    low: Floats
    high: Floats
    level: float
    assumed: bool


@dataclass(frozen=True)
class FittedQuantity:
    """One fitted quantity; the fields of `aebert.cost_model.robust_fit.Fit` as numbers that JSON has.

    ``designs``: how many the runs are of. ``structure``: design -> log(measured / the structure's own value), by run.
    ``held_out``: digest of a run -> log(measured / predicted), predicted without
    the run's design.
    """

    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    levels: Mapping[str, Level]
    covariance: tuple[tuple[float, ...], ...]
    noise: float
    bounds: tuple[Bound, ...]
    designs: int
    held_out: Mapping[str, float]
    structure: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def fit(self) -> Fit:
        return Fit(self.terms, np.array(self.coefficients), self.levels, np.array(self.covariance), self.noise)

    def known_groups(self, board: str, design: str) -> dict[str, tuple[str | None]]:
        """The groups of a routed run of ``design`` on ``board``: what is predicted is hardware, after routing, and
        made by the one tool that all runs were made with, where there is one."""
        tools = self.levels["tool"].effects if "tool" in self.levels else {}
        return {
            "source": ("hw",),
            "stage": ("routed",),
            "board": (board,),
            "design": (design,),
            "tool": (next(iter(tools)) if len(tools) == 1 else None,),
        }

    @property
    def saw_routed(self) -> bool:
        """Whether some of the runs are counts after routing."""
        return "stage" in self.levels and "routed" in self.levels["stage"].effects

    def basis(self, assumed: bool) -> str:
        """What a prediction rests on, in words."""
        designs = "one design" if self.designs == 1 else f"{self.designs} designs"
        promise = f", interval assumed: {designs}" if assumed else ""
        return f"fitted to {len(self.held_out)} runs of {designs}{promise}"

    def contradicts(self, spread: Spread) -> bool:
        """Whether the runs lie outside of the structure's own interval more often than a promise of nine in ten allows:
        one design in twenty would by chance do what they do. Every design counts once, by its median."""
        medians = [float(np.median(np.exp(ratios))) for ratios in self.structure.values()]
        outside = sum(not spread.low <= ratio <= spread.high for ratio in medians)
        return bool(binom.sf(outside - 1, len(medians), 1 - COVERAGE) < _SURPRISE) if medians else True

    def predict(
        self, amounts: Floats, groups: Mapping[str, Sequence[str | None]] | None = None, level: float = 0.9
    ) -> Estimate:
        """``amounts`` [runs, terms]; ``groups`` as `Fit.predict` takes them (board, tool, source, design).

        Raises AebertError for a level the model has no bound for.
        """
        bound = next((each for each in self.bounds if abs(each.level - level) < 1e-9), None)
        if bound is None:
            known = ", ".join(f"{each.level:g}" for each in self.bounds)
            raise AebertError(f"fitted model: no interval of level {level:g}; it has {known}")
        mean, deviation = self.fit.predict(np.asarray(amounts, np.float64), groups or {})
        reach = bound.deviations * deviation
        return Estimate(np.exp(mean), np.exp(mean - reach), np.exp(mean + reach), level, bound.assumed)


@dataclass(frozen=True)
class FittedModel:
    """Fitted for ``board`` from runs of ``sources`` (empty: of all)."""

    board: str
    sources: tuple[str, ...]
    toolkit_version: str
    quantities: Mapping[str, FittedQuantity]
    schema_version: int = SCHEMA_VERSION

    @property
    def runs(self) -> frozenset[str]:
        """Digests of all runs it has seen."""
        return frozenset(digest for quantity in self.quantities.values() for digest in quantity.held_out)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[FittedModel]:
    return TypeAdapter(FittedModel)


def to_json(model: FittedModel) -> str:
    return _adapter().dump_json(model, indent=1).decode() + "\n"


def from_json(text: str, name: str) -> FittedModel:
    """``name``: of the file, for errors. Raises AebertError for what is no fitted model of this version."""
    model = parse_json(FittedModel, text, name, _AGAIN)
    if model.schema_version != SCHEMA_VERSION:
        raise AebertError(
            f"{name}: schema_version is {model.schema_version}, this toolkit reads {SCHEMA_VERSION}; {_AGAIN}"
        )
    for title, quantity in model.quantities.items():
        if wrong := _wrong(quantity):
            raise AebertError(f"{name}: quantities.{title}: {wrong}; {_AGAIN}")
    return model


def _wrong(quantity: FittedQuantity) -> str:
    """What makes a quantity unusable, or nothing."""
    terms = len(quantity.terms)
    if not terms or len(quantity.coefficients) != terms:
        return f"{terms} terms, but {len(quantity.coefficients)} coefficients"
    positive = [*quantity.coefficients, quantity.noise, *(bound.deviations for bound in quantity.bounds)]
    if not (np.isfinite(positive).all() and min(positive) > 0):
        return "coefficients, noise and bounds must be finite and above 0"
    effects = [effect for level in quantity.levels.values() for effect in level.effects.values()]
    spreads = [level.spread for level in quantity.levels.values()]
    if not np.isfinite([*effects, *spreads, *quantity.held_out.values()]).all() or min([*spreads, 0.0]) < 0:
        return "effects and errors must be finite, spreads at least 0"
    rows = terms + len(effects)
    if len(quantity.covariance) != rows or any(len(row) != rows for row in quantity.covariance):
        return f"the covariance must have {rows} rows and columns"
    covariance = np.array(quantity.covariance, np.float64)
    if not np.isfinite(covariance).all() or np.linalg.eigvalsh((covariance + covariance.T) / 2).min() < -1e-9:
        return "the covariance is not one"
    return ""


def read_model(path: Path | str) -> FittedModel:
    """Raises AebertError when there is no fitted model in the file."""
    path = Path(path)
    if not path.exists():
        raise AebertError(f"{path}: not found; make it with aebert fit-cost")
    try:
        text = read_input(path, _SIZE_LIMIT, "give a fitted model").decode("utf-8")
    except UnicodeDecodeError:
        raise AebertError(f"{path}: not UTF-8; it is no fitted model") from None
    return from_json(text, str(path))


def write_model(path: Path, model: FittedModel) -> None:
    """In one step: the file is the old one or the new one."""
    write_text(path, to_json(model))


def quantity_of(
    fitted: Fit,
    bounds: Sequence[Bound],
    designs: int,
    held_out: Mapping[str, float],
    structure: Mapping[str, tuple[float, ...]],
) -> FittedQuantity:
    return FittedQuantity(
        fitted.terms,
        tuple(fitted.coefficients.tolist()),
        fitted.levels,
        tuple(tuple(row) for row in fitted.covariance.tolist()),
        fitted.noise,
        tuple(bounds),
        designs,
        dict(held_out),
        dict(structure),
    )
