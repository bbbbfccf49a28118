"""The weights of every site at every level, made once, so that applying a candidate is a look-up.

For a site and a count of kept units they are exactly what ``prune_encoder`` gives with the same saliency, moments and
compensation: one ranking per site holds the masks of all counts, and one least-squares problem per matrix (its Hessian
and right-hand side) serves all levels. Counts off the grid are made when first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from aebert.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, Linear, MatrixName
from aebert.models.digest import make_encoder
from aebert.pruning.compensation import Reconstruction, compensate_kept, reconstruction
from aebert.pruning.counts import Site, list_sites
from aebert.pruning.masks import expand_units
from aebert.pruning.moments import InputMoments, LayerMoments
from aebert.pruning.patterns import BoolArray, Pattern
from aebert.pruning.prune import with_matrix
from aebert.pruning.saliency import Saliency, site_scores
from aebert.search.calibration_rows import CalibrationRows
from aebert.search.candidates import Candidate, IntArray
from aebert.search.linear_cache import LinearCache, PreparedLinear
from aebert.search.parts import make_key, open_part, part_is_whole, write_part

_SCHEMA = 1
_OFF_GRID_BYTES = 64 * 2**20
NormName = Literal["attention", "ffn"]
Track = Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]]


@dataclass(frozen=True)
class Recipe:
    """How units are chosen, and whether the kept weights are corrected by least squares."""

    saliency: Saliency = "activation"
    compensate: bool = True

    @property
    def needs_moments(self) -> bool:
        return self.compensate or self.saliency != "magnitude"


@dataclass(frozen=True)
class PreparedNorm:
    """LayerNorm: ``gamma`` and ``beta`` [hidden], float32."""

    gamma: torch.Tensor
    beta: torch.Tensor
    epsilon: float


class PreparedWeights:
    """The matrices of an encoder under one pattern and recipe, by the number of units that their site keeps."""

    def __init__(
        self,
        directory: Path,
        encoder: Encoder,
        pattern: Pattern,
        recipe: Recipe,
        counts: IntArray,
        rows: CalibrationRows,
    ) -> None:
        self.directory, self.encoder, self.pattern, self.recipe = directory, encoder, pattern, recipe
        self.key = weights_key(encoder, pattern, recipe, counts, rows)
        self.sites = tuple(list_sites(encoder.shape, pattern))
        self._levels = [{count: level for level, count in enumerate(own)} for own in stored_counts(self.sites, counts)]
        self._layers = [open_part(_layer_file(directory, i), self.key) for i in range(encoder.shape.layers)]
        self._site_of = {(site.layer, name): i for i, site in enumerate(self.sites) for name in site.matrices}
        self._rows = rows
        self._off_grid = LinearCache(_OFF_GRID_BYTES)

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        """The number of the site that decides about a matrix; None where the pattern leaves it dense."""
        return self._site_of.get((layer, name))

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        """A matrix whose site keeps ``kept`` units."""
        site = self.site_of(layer, name)
        if site is None or kept == self.sites[site].units:
            dense = self.encoder.layers[layer].matrix(name)
            return PreparedLinear(torch.from_numpy(dense.weight), torch.from_numpy(dense.bias))
        level = self._levels[site].get(kept)
        if level is not None:
            tensors = self._layers[layer]
            return PreparedLinear(tensors[f"{name}.weight"][level], tensors[f"{name}.bias"][level])
        return self._off_grid.get(layer, name, kept, lambda: self._made_now(layer, name, site, kept))

    def norm(self, layer: int, name: NormName) -> PreparedNorm:
        """A LayerNorm of a layer."""
        own = self.encoder.layers[layer]
        norm = own.attention_norm if name == "attention" else own.ffn_norm
        return PreparedNorm(torch.from_numpy(norm.gamma), torch.from_numpy(norm.beta), self.encoder.shape.epsilon)

    def apply(self, candidate: Candidate) -> Encoder:
        """The pruned encoder that the candidate is scored as."""
        candidate.sites(self.encoder.shape)
        layers = []
        for number, layer in enumerate(self.encoder.layers):
            for name in MATRIX_NAMES:
                site = self.site_of(number, name)
                if site is not None:
                    found = self.linear(number, name, candidate.kept[site])
                    linear = Linear(found.weight.numpy().copy(), found.bias.numpy().copy())
                    layer = with_matrix(layer, name, linear)
            layers.append(layer)
        return make_encoder(self.encoder.shape, layers)

    def _made_now(self, layer: int, name: MatrixName, site: int, kept: int) -> PreparedLinear:
        rank = self._layers[layer][_rank_name(self.sites[site])].numpy()
        mask = expand_units(rank < kept, self.sites[site], self.encoder.shape, self.pattern)[name]
        moments = self._rows.moments(layer).of(name) if self.recipe.compensate else None
        made = _fit(self.encoder.layers[layer].matrix(name), mask, moments, None)
        return PreparedLinear(torch.from_numpy(made.weight), torch.from_numpy(made.bias))


def prepare_weights(
    directory: Path,
    encoder: Encoder,
    pattern: Pattern,
    recipe: Recipe,
    counts: IntArray,
    rows: CalibrationRows,
    track: Track = iter,
) -> PreparedWeights:
    """Make ``directory`` hold the weights of all ``counts`` [sites, levels] (``Grid.counts``), layer by layer.

    Layers that an earlier call, killed or complete, left whole are kept.
    """
    key = weights_key(encoder, pattern, recipe, counts, rows)
    sites = list_sites(encoder.shape, pattern)
    stored = dict(zip(sites, stored_counts(sites, counts), strict=True))
    for number, layer in enumerate(track(encoder.layers)):
        path = _layer_file(directory, number)
        if not part_is_whole(path, key):
            own = {site: kept for site, kept in stored.items() if site.layer == number}
            moments = rows.moments(number) if recipe.needs_moments else None
            write_part(path, key, _layer_tensors(layer, encoder.shape, pattern, recipe, own, moments))
    return PreparedWeights(directory, encoder, pattern, recipe, counts, rows)


def weights_key(encoder: Encoder, pattern: Pattern, recipe: Recipe, counts: IntArray, rows: CalibrationRows) -> str:
    """The digest of all that the weights follow from."""
    return make_key(
        schema=_SCHEMA,
        encoder=encoder.digest,
        pattern=str(pattern),
        recipe=asdict(recipe),
        counts=counts.tolist(),
        rows=rows.key if recipe.needs_moments else None,
    )


def stored_counts(sites: Sequence[Site], counts: IntArray) -> list[list[int]]:
    """The counts of each site that are on disk, falling: each once, the dense one left out."""
    return [
        sorted({count for count in row if count < site.units}, reverse=True)
        for site, row in zip(sites, counts.tolist(), strict=True)
    ]


def _layer_tensors(
    layer: EncoderLayer,
    shape: EncoderShape,
    pattern: Pattern,
    recipe: Recipe,
    counts: Mapping[Site, Sequence[int]],
    moments: LayerMoments | None,
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for site, kept in counts.items():
        rank = pattern.rank(site_scores(site, layer, shape, pattern, recipe.saliency, moments)).astype(np.int32)
        tensors[_rank_name(site)] = torch.from_numpy(rank)
        for name in site.matrices:
            linear = layer.matrix(name)
            own = moments.of(name) if recipe.compensate and moments is not None else None
            problem = None if own is None else reconstruction(linear, own)
            weight = torch.empty(len(kept), *linear.weight.shape)
            bias = torch.empty(len(kept), *linear.bias.shape)
            for level, count in enumerate(kept):
                mask = expand_units(rank < count, site, shape, pattern)[name]
                fitted = _fit(linear, mask, own, problem)
                weight[level], bias[level] = torch.from_numpy(fitted.weight), torch.from_numpy(fitted.bias)
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weight, bias
    return tensors


def _fit(linear: Linear, mask: BoolArray, moments: InputMoments | None, problem: Reconstruction | None) -> Linear:
    if moments is not None:
        return compensate_kept(linear, mask, moments, problem)
    return Linear(np.where(mask, linear.weight, np.float32(0)), linear.bias)


def _rank_name(site: Site) -> str:
    return f"{site.matrices[0]}.rank"


def _layer_file(directory: Path, layer: int) -> Path:
    return directory / f"layer-{layer:02}.safetensors"
