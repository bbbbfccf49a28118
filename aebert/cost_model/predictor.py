"""Latency of very many subnets on one design, with its interval: what a search asks before it measures anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aebert.cost_model.half_layers import HalfLayers, LaunchKind, half_layers
from aebert.cost_model.measurer import MeasuredCandidate
from aebert.cost_model.protocols import LatencyPrediction
from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.subnet_tiles import TileModel, pattern_tile_model
from aebert.cost_model.uncertainty import CLOSED_FORM, SLOW_ENGINE, clock_spread
from aebert.design.bandwidth import memory_rates
from aebert.design.board_fit import check_fit, spanned_dies
from aebert.design.design import Design
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.models.encoder import EncoderShape
from aebert.pruning.candidate import Candidate
from aebert.pruning.zero_patterns import Pattern, parse_pattern
from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError
from aebert.support.json_digest import json_digest

if TYPE_CHECKING:
    from aebert.cost_model.fitted_model import FittedModel, FittedQuantity
    from aebert.cost_model.synthesis import Synthesis

# The nearest to a board that there is among measurements is what a model is fitted to.
_FIDELITY: tuple[SourceKind, ...] = ("hw", "hw_emu", "rtl_sim", "cosim", "csynth", "emulated")
# Two subnets on one design differ from the model by factors as alike as this (standard deviation), until measured.
_SAME_FACTOR = 0.003
_CHUNK = 1 << 11  # candidates at a time: the arrays of one step stay in the processor's cache
UNFITTED = "predicted, closed form"


@dataclass(frozen=True)
class Coefficients:
    """Milliseconds per cycle of the engine's steps, per other cycle, and per launch, with their spread."""

    engine: float
    other: float
    launch: float
    spread: Spread
    source: str


@dataclass(frozen=True)
class SubnetLatency:
    """A `LatencyModel`: candidates of one pattern on one design, at one launch's lengths."""

    tiles: TileModel
    halves: HalfLayers
    coefficients: Coefficients

    def cycles(self, kept: Ints) -> Floats:
        """Cycles [candidates] of one launch in closed form, for ``kept`` units [candidates, sites]."""
        return self._cycles(kept)[0]

    def predict(self, kept: Ints) -> LatencyPrediction:
        """``kept``: units kept per site [candidates, sites], sites as ``list_sites`` gives them."""
        total, engine = self._cycles(kept)
        given = self.coefficients
        mean = total * given.other
        mean += engine * (given.engine - given.other)
        mean += given.launch
        return LatencyPrediction(mean, mean * given.spread.low, mean * given.spread.high, given.source)

    def _cycles(self, kept: Ints) -> tuple[Floats, Floats]:
        """Of the launch, and those of the engine's steps."""
        total, engine = np.empty(len(kept)), np.empty(len(kept))
        for start in range(0, len(kept), _CHUNK):
            part = slice(start, start + _CHUNK)
            tiles, heads = self.tiles(kept[part]), self.tiles.heads(kept[part])
            total[part] = self.halves.cycles(tiles, heads)
            engine[part] = self.halves.engine_cycles(tiles, heads)
        return total, engine


@dataclass(frozen=True)
class DesignLatency:
    """A `CostModel`: launches of sequences of ``lengths`` tokens on ``design``.

    The spread of ``coefficients`` leaves out tiles that depend on which units are kept.
    """

    design: Design
    shape: EncoderShape
    lengths: tuple[int, ...]
    coefficients: Coefficients
    latencies: Latencies = DEFAULT_LATENCIES

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all that a prediction depends on."""
        values = {
            "design": self.design.digest,
            "shape": asdict(self.shape),
            "lengths": self.lengths,
            "coefficients": asdict(self.coefficients),
            **({} if self.latencies == DEFAULT_LATENCIES else {"latencies": asdict(self.latencies)}),
        }
        return json_digest(values)

    def latency(self, pattern: Pattern, tiles: TileModel | None = None) -> SubnetLatency:
        """The model for candidates of ``pattern``; ``tiles`` from masks (`mask_tile_model`) narrow its interval.

        Raises AebertError where the pattern does not divide the encoder's matrices.
        """
        model = pattern_tile_model(self.shape, pattern, self.design.config) if tiles is None else tiles
        kind = replace(launch_kind(self.design, self.shape, self.lengths), latencies=self.latencies)
        halves = half_layers(kind, model.head_counts)
        spread = combine(self.coefficients.spread, Spread.within(halves.error, "kinks of the closed form"))
        if model.spread:
            spread = combine(spread, Spread.within(model.spread, "tiles of units at random places"))
        return SubnetLatency(model, halves, replace(self.coefficients, spread=spread))

    def refitted(self, measurements: Sequence[MeasuredCandidate]) -> DesignLatency:
        """Fitted to ``measurements`` of this design too, those nearest to a board; all of the search's each time."""
        from aebert.cost_model.observations import Observations
        from aebert.cost_model.robust_fit import Prior, fit

        source = next((kind for kind in _FIDELITY if any(each.source == kind for each in measurements)), None)
        if source is None:
            return self
        used = [each for each in measurements if each.source == source]
        predicted = self._predicted_ms([each.candidate for each in used])
        observations = Observations(("predicted",), predicted[:, None], np.array([each.latency_ms for each in used]))
        prior = Prior(np.ones(1), np.array([self.coefficients.spread.deviation]), {}, _SAME_FACTOR)
        mean, deviation = fit(observations, prior).predict(np.ones((1, 1)), {})
        factor = float(np.exp(mean[0]))
        given = self.coefficients
        what = f"fitted to {len(used)} {source} runs of this design"
        return replace(
            self,
            coefficients=Coefficients(
                given.engine * factor,
                given.other * factor,
                given.launch * factor,
                Spread.normal(float(deviation[0]), what),
                f"{given.source}, {what}",
            ),
        )

    def _predicted_ms(self, candidates: Sequence[Candidate]) -> Floats:
        """Milliseconds [candidates]; the candidates of a pattern share its model."""
        patterns = {candidate.pattern for candidate in candidates}
        models = {spelling: self.latency(parse_pattern(spelling)) for spelling in patterns}
        kept = (np.array([candidate.kept], np.int64) for candidate in candidates)
        pairs = zip(candidates, kept, strict=True)
        return np.array([float(models[each.pattern].predict(units).mean_ms[0]) for each, units in pairs])


def design_latency(
    design: Design,
    shape: EncoderShape,
    lengths: Sequence[int],
    fitted: FittedModel | None = None,
    synthesis: Synthesis | None = None,
) -> DesignLatency:
    """The closed form, with a fitted model's coefficients where there is one, and II, depths and clock of the design's
    own ``synthesis`` where that is known.

    Raises AebertError when a launch of ``lengths`` does not fit the design, or the encoder does not.
    """
    config = design.config
    config.check_fits(shape)
    if not lengths or any(not 1 <= length <= config.max_length for length in lengths):
        raise AebertError(f"lengths = {list(lengths)}: the design takes sequences of 1 to {config.max_length} tokens")
    if (groups := sum(config.groups(length) for length in lengths)) > config.max_groups:
        raise AebertError(f"lengths = {list(lengths)}: {groups} token groups, the design takes {config.max_groups}")
    ms_per_cycle, clock = clock_of(design, fitted, synthesis)
    latencies = DEFAULT_LATENCIES if synthesis is None else synthesis.latencies(config)
    engine, other, launch, cycles = cycle_coefficients(design, fitted, latencies)
    source = UNFITTED if fitted is None else f"predicted, closed form fitted to {len(fitted.runs)} runs"
    if synthesis is not None:
        source += f", II and depth from csynth ({synthesis.tool})"
    coefficients = Coefficients(
        engine * ms_per_cycle, other * ms_per_cycle, launch * ms_per_cycle, combine(cycles, clock), source
    )
    return DesignLatency(design, shape, tuple(lengths), coefficients, latencies)


def clock_of(design: Design, fitted: FittedModel | None, synthesis: Synthesis | None = None) -> tuple[float, Spread]:
    """Milliseconds per cycle of the clock that a build is expected to reach, and their spread.

    HLS keeps a margin for wires: a scheduler's estimate above the clock asked for says nothing, one below is a limit.
    """
    from aebert.cost_model.fitted_quantities import CLOCK_PERIOD

    period, limit = 1e3 / design.clock_mhz, ""
    quantity = None if fitted is None else fitted.quantities.get(CLOCK_PERIOD)
    if synthesis is not None and synthesis.clock_mhz is not None and synthesis.clock_mhz < design.clock_mhz:
        period = 1e3 / synthesis.clock_mhz
        limit = f"csynth estimates {synthesis.clock_mhz:.0f} MHz, below the clock asked for; "
    if quantity is None:
        spread = clock_spread(spanned_dies(design.config, design.board, design.compute_units)).inverse
        return period / 1e6, replace(spread, basis=f"{limit}{spread.basis}")
    from aebert.cost_model.structure import crowding

    crowded = crowding(check_fit(design.config, design.board, design.compute_units), design.board)
    found, spread = _fitted_median(quantity, np.array([period, period * crowded]), design)
    return found / 1e6, spread


def cycle_coefficients(
    design: Design, fitted: FittedModel | None, latencies: Latencies
) -> tuple[float, float, float, Spread]:
    """Cycles per cycle of the closed form at ``latencies`` (the engine's, others), cycles per launch, and the spread of
    their sum."""
    from aebert.cost_model.fitted_quantities import CYCLES

    quantity = None if fitted is None else fitted.quantities.get(CYCLES)
    slow = latencies.engine_interval > 1
    if quantity is None:
        return 1.0, 1.0, 0.0, combine(CLOSED_FORM, SLOW_ENGINE) if slow else CLOSED_FORM
    # A launch of a million steps with as many lanes busy as these designs keep; a launch's own share is small there.
    amounts = np.array([1e6, 1e5, design.clock_mhz * 1e3])
    found, spread = _fitted_median(quantity, amounts, design)
    effect = found / float(amounts @ np.array(quantity.coefficients))
    engine, other, launch = (effect * coefficient for coefficient in quantity.coefficients)
    return engine, other, launch * design.clock_mhz * 1e3, combine(spread, SLOW_ENGINE) if slow else spread


def _fitted_median(quantity: FittedQuantity, amounts: Floats, design: Design) -> tuple[float, Spread]:
    """The median that ``quantity`` predicts for hardware, and its spread."""
    estimate = quantity.predict(amounts[None], quantity.known_groups(design.board.name, design.digest))
    median = float(estimate.median[0])
    low, high = float(estimate.low[0]) / median, float(estimate.high[0]) / median
    return median, Spread(low, high, quantity.basis(estimate.assumed), estimate.assumed)


def launch_kind(design: Design, shape: EncoderShape, lengths: tuple[int, ...]) -> LaunchKind:
    """Launches on one of the design's compute units, all of them sharing the board's memory."""
    sizes = Sizes.of(design.config)
    units = np.array([design.compute_units], np.int64)
    memory = memory_rates(sizes, design.board, np.array([design.clock_mhz]), units)
    return LaunchKind(sizes, shape, lengths, memory)
