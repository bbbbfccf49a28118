"""How close the integer reference (L1) must stay to fp32 (L0). The figures are justified in docs/quantisation.md."""

from __future__ import annotations

from dataclasses import dataclass

from aebert.quantisation.error_report import EncoderError

HIDDEN_COSINE = 0.98
RELATIVE_ERROR = 0.2
# The share of int16 that a residual may use; at 1 it has saturated.
RESIDUAL_USE = 0.999


@dataclass(frozen=True)
class ToleranceCheck:
    """One figure and its limit; ``at_least`` says on which side of the limit it must be."""

    name: str
    measured: float
    limit: float
    at_least: bool

    @property
    def passed(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True)
class ToleranceResult:
    """All figures; one that is out of its limit fails the whole."""

    checks: tuple[ToleranceCheck, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def check_tolerance(error: EncoderError) -> ToleranceResult:
    """Per layer: mean cosine and relative error of the hidden states, and how much of its range the residual uses.

    Pooled embeddings are left to the report: with random weights their mean is noise, and so is its direction.
    """
    checks: list[ToleranceCheck] = []
    for layer in error.layers:
        name = f"layer {layer.layer}"
        checks.append(ToleranceCheck(f"{name} hidden-state cosine", layer.cosine, HIDDEN_COSINE, at_least=True))
        checks.append(ToleranceCheck(f"{name} relative error", layer.relative_error, RELATIVE_ERROR, at_least=False))
        checks.append(ToleranceCheck(f"{name} residual range", layer.largest_residual, RESIDUAL_USE, at_least=False))
    return ToleranceResult(tuple(checks))
