"""A calibrated model: coefficients, error bars and the digests of the runs they rest on, as one small JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from aebert.atomic import write_text
from aebert.cost_model.fit import Fit, Level
from aebert.cost_model.intervals import Bound
from aebert.cost_model.observations import Floats
from aebert.errors import AebertError

SCHEMA_VERSION = 1
_SIZE_LIMIT = 1 << 26
_AGAIN = "run aebert calibrate again"


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
class CalibratedQuantity:
    """One fitted quantity; the fields of `aebert.cost_model.fit.Fit` as numbers that JSON has.

    ``designs``: how many the runs are of. ``held_out``: digest of a run -> log(measured / predicted), predicted without
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

    @property
    def fit(self) -> Fit:
        return Fit(self.terms, np.array(self.coefficients), self.levels, np.array(self.covariance), self.noise)

    def predict(
        self, amounts: Floats, groups: Mapping[str, Sequence[str | None]] | None = None, level: float = 0.9
    ) -> Estimate:
        """``amounts`` [runs, terms]; ``groups`` as `Fit.predict` takes them (board, tool, source, design).

        Raises AebertError for a level the model has no bound for.
        """
        bound = next((each for each in self.bounds if abs(each.level - level) < 1e-9), None)
        if bound is None:
            known = ", ".join(f"{each.level:g}" for each in self.bounds)
            raise AebertError(f"calibrated model: no interval of level {level:g}; it has {known}")
        mean, deviation = self.fit.predict(np.asarray(amounts, np.float64), groups or {})
        reach = bound.deviations * deviation
        return Estimate(np.exp(mean), np.exp(mean - reach), np.exp(mean + reach), level, bound.assumed)


@dataclass(frozen=True)
class CalibratedModel:
    """Fitted for ``board`` from runs of ``sources`` (empty: of all)."""

    board: str
    sources: tuple[str, ...]
    toolkit_version: str
    quantities: Mapping[str, CalibratedQuantity]
    schema_version: int = SCHEMA_VERSION

    @property
    def runs(self) -> frozenset[str]:
        """Digests of all runs it has seen."""
        return frozenset(digest for quantity in self.quantities.values() for digest in quantity.held_out)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[CalibratedModel]:
    return TypeAdapter(CalibratedModel)


def to_json(model: CalibratedModel) -> str:
    return _adapter().dump_json(model, indent=1).decode() + "\n"


def from_json(text: str, name: str) -> CalibratedModel:
    """``name``: of the file, for errors. Raises AebertError for what is no calibrated model of this version."""
    try:
        model = _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise AebertError(f"{name}: {where}: {first['msg']}; {_AGAIN}") from None
    if model.schema_version != SCHEMA_VERSION:
        raise AebertError(
            f"{name}: schema_version is {model.schema_version}, this toolkit reads {SCHEMA_VERSION}; {_AGAIN}"
        )
    for title, quantity in model.quantities.items():
        if wrong := _wrong(quantity):
            raise AebertError(f"{name}: quantities.{title}: {wrong}; {_AGAIN}")
    return model


def _wrong(quantity: CalibratedQuantity) -> str:
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


def read_model(path: Path | str) -> CalibratedModel:
    """Raises AebertError when there is no calibrated model in the file."""
    path = Path(path)
    try:
        if path.stat().st_size > _SIZE_LIMIT:
            raise AebertError(f"{path}: larger than {_SIZE_LIMIT >> 20} MiB; it is no calibrated model")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AebertError(f"{path}: not found; make it with aebert calibrate") from None
    except UnicodeDecodeError:
        raise AebertError(f"{path}: not UTF-8; it is no calibrated model") from None
    return from_json(text, str(path))


def write_model(path: Path, model: CalibratedModel) -> None:
    """In one step: the file is the old one or the new one."""
    write_text(path, to_json(model))


def quantity_of(
    fitted: Fit, bounds: Sequence[Bound], designs: int, held_out: Mapping[str, float]
) -> CalibratedQuantity:
    return CalibratedQuantity(
        fitted.terms,
        tuple(fitted.coefficients.tolist()),
        fitted.levels,
        tuple(tuple(row) for row in fitted.covariance.tolist()),
        fitted.noise,
        tuple(bounds),
        designs,
        dict(held_out),
    )
