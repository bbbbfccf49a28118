"""From pruning ratios to whole numbers of units, so that the overall ratio is met exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from aebert.models.config_json import LARGEST_JSON
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, MatrixName
from aebert.models.load import matrix_shape
from aebert.pruning.zero_patterns import Pattern, Structured
from aebert.support.checked_files import FileTable, between, read_json
from aebert.support.errors import AebertError

MatrixKey = tuple[int, MatrixName]
ATTENTION_MATRICES: tuple[MatrixName, ...] = ("query", "key", "value", "attention_output")
FFN_MATRICES: tuple[MatrixName, ...] = ("ffn_in", "ffn_out")


@dataclass(frozen=True)
class Site:
    """Matrices of one layer whose mask is one decision: ``units`` units of ``unit_weights`` weights each."""

    layer: int
    matrices: tuple[MatrixName, ...]
    units: int
    unit_weights: int


def list_sites(shape: EncoderShape, pattern: Pattern) -> list[Site]:
    """Every decision that a pattern leaves open, in the order of the data flow.

    Raises AebertError where a matrix does not divide into the pattern's units.
    """
    sites = []
    for layer in range(shape.layers):
        if isinstance(pattern, Structured):
            if pattern.heads:
                sites.append(Site(layer, ATTENTION_MATRICES, shape.heads, 4 * shape.head_size * shape.hidden))
            if pattern.neurons:
                sites.append(Site(layer, FFN_MATRICES, shape.ffn, 2 * shape.hidden))
            continue
        rows, columns = pattern.unit_shape
        for name in MATRIX_NAMES:
            outputs, inputs = matrix_shape(shape, name)
            if outputs % rows or inputs % columns:
                raise AebertError(
                    f"pattern {str(pattern)!r} does not divide matrix {name!r} of {outputs} x {inputs}; "
                    "choose block sides that divide the hidden and FFN sizes"
                )
            sites.append(Site(layer, (name,), (outputs // rows) * (inputs // columns), rows * columns))
    return sites


def prunable_weights(shape: EncoderShape) -> int:
    """The number of weights of all prunable matrices."""
    return shape.layers * sum(math.prod(matrix_shape(shape, name)) for name in MATRIX_NAMES)


def uniform_ratios(shape: EncoderShape, pattern: Pattern, ratio: float) -> dict[MatrixKey, float]:
    """The same ratio in every matrix that ``pattern`` can prune, such that the overall ratio is ``ratio``.

    Raises AebertError if the pattern cannot reach it (heads and neurons leave some matrices dense).
    """
    check_ratio(ratio, "the overall ratio")
    sites = list_sites(shape, pattern)
    reachable = sum(site.units * site.unit_weights for site in sites) / prunable_weights(shape)
    if ratio > reachable:
        raise AebertError(
            f"pattern {str(pattern)!r} can zero at most {reachable:.4f} of the prunable weights, not {ratio}; "
            "lower the ratio or choose 'head+neuron'"
        )
    covered = {(site.layer, name) for site in sites for name in site.matrices}
    keys = ((layer, name) for layer in range(shape.layers) for name in MATRIX_NAMES)
    return {key: ratio / reachable if key in covered else 0.0 for key in keys}


def layer_ratios(shape: EncoderShape, pattern: Pattern, ratios: Sequence[float]) -> dict[MatrixKey, float]:
    """One ratio per layer, counted over all six matrices of the layer, as a ratio per matrix."""
    if len(ratios) != shape.layers:
        raise AebertError(f"{len(ratios)} per-layer ratios for {shape.layers} layers; give one ratio for each layer")
    result: dict[MatrixKey, float] = {}
    for layer, ratio in enumerate(ratios):
        uniform = uniform_ratios(shape, pattern, ratio)
        result |= {(layer, name): uniform[layer, name] for name in MATRIX_NAMES}
    return result


def check_ratio(ratio: float, what: str) -> None:
    """Raise AebertError unless 0 <= ratio < 1."""
    if not 0 <= ratio < 1:
        raise AebertError(f"{what} is {ratio}; a pruning ratio lies in [0, 1)")


def zeroed_units(shape: EncoderShape, pattern: Pattern, ratios: Mapping[MatrixKey, float]) -> dict[Site, int]:
    """How many units of each site to zero, so that their sum meets the ratios' overall ratio to within half a unit.

    Each site gets the whole part of its own share; what is left goes to the largest remainders. Where units differ in
    size (head+neuron), the coarse ones are settled first and the fine ones make up the difference.
    """
    sites = list_sites(shape, pattern)
    shares = {site: _site_ratio(site, ratios, pattern) * site.units for site in sites}
    _check_untouched(sites, ratios, pattern)
    target = sum(share * site.unit_weights for site, share in shares.items())
    counts: dict[Site, int] = {}
    settled = 0
    for size in sorted({site.unit_weights for site in sites}, reverse=True):
        same = [site for site in sites if site.unit_weights == size]
        finest = size == min(site.unit_weights for site in sites)
        wanted = target - settled if finest else size * sum(shares[site] for site in same)
        total = min(max(_round_half_up(wanted / size), 0), sum(site.units for site in same))
        given = apportion([shares[site] for site in same], [site.units for site in same], total)
        counts |= dict(zip(same, given, strict=True))
        settled += size * total
    return counts


def apportion(shares: Sequence[float], capacities: Sequence[int], total: int) -> list[int]:
    """Whole numbers near ``shares``, none above its capacity, that sum to ``total`` (largest remainders first)."""
    counts = [min(math.floor(share + 1e-9), capacity) for share, capacity in zip(shares, capacities, strict=True)]
    while (missing := total - sum(counts)) != 0:
        step = 1 if missing > 0 else -1
        open_places = [i for i, n in enumerate(counts) if 0 <= n + step <= capacities[i]]
        # A stable order: ties go to the earlier place, so the same input always gives the same subnet.
        open_places.sort(key=lambda i: (counts[i] - shares[i]) * step)
        for i in open_places[: abs(missing)]:
            counts[i] += step
    return counts


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)


def _site_ratio(site: Site, ratios: Mapping[MatrixKey, float], pattern: Pattern) -> float:
    values = {ratios[site.layer, name] for name in site.matrices}
    if len(values) > 1:
        raise AebertError(
            f"layer {site.layer}: pattern {str(pattern)!r} prunes {', '.join(site.matrices)} together; "
            "give them the same ratio"
        )
    value = values.pop()
    if not 0 <= value <= 1:
        raise AebertError(f"layer {site.layer} {site.matrices[0]}: ratio {value} does not lie in [0, 1]")
    return value


def _check_untouched(sites: Sequence[Site], ratios: Mapping[MatrixKey, float], pattern: Pattern) -> None:
    covered = {(site.layer, name) for site in sites for name in site.matrices}
    for (layer, name), ratio in ratios.items():
        if (layer, name) not in covered and ratio:
            raise AebertError(
                f"layer {layer} {name}: ratio {ratio}, but pattern {str(pattern)!r} leaves it dense; make it 0"
            )


_Ratio = Annotated[float, between(0, 1)]


class _LayerRatios(FileTable):
    """The fields are those of MATRIX_NAMES."""

    query: _Ratio
    key: _Ratio
    value: _Ratio
    attention_output: _Ratio
    ffn_in: _Ratio
    ffn_out: _Ratio


def read_matrix_ratios(path: Path, shape: EncoderShape) -> dict[MatrixKey, float]:
    """One ratio per matrix from JSON: a list of ``{"query": 0.5, "key": ..., ...}``, one object per layer.

    Raises AebertError that names the layer and matrix.
    """
    layers = read_json(list[_LayerRatios], path, "write a list with one object per layer", LARGEST_JSON)
    if len(layers) != shape.layers:
        raise AebertError(f"{path}: {len(layers)} objects, expected a list of {shape.layers}, one per layer")
    return {(number, name): getattr(layer, name) for number, layer in enumerate(layers) for name in MATRIX_NAMES}
