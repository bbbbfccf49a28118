"""The weights of every site at every level, made once, so that applying a candidate is a look-up.

By default each level of a site is made from the lighter one before it (``aebert.pruning.gradual``; heads and neurons:
``aebert.pruning.structured_removal``), and its kept values are stored in half precision. Without ``Recipe.gradual`` the
weights of a count are exactly what ``prune_encoder`` gives with the same saliency, moments and compensation. Either way
one ranking per site holds the masks of all counts. Counts off the grid are made when first asked for, from the next
lighter level, and are files then: all workers, and later searches in the same folder, find them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, EncoderShape, FloatArray, Linear, MatrixName
from aebert.models.host_model import HostModel
from aebert.pruning.candidate import Candidate
from aebert.pruning.compensation import Reconstruction, compensate_kept, corrected_bias, reconstruction
from aebert.pruning.gradual import GradualLevel, GradualRemoval
from aebert.pruning.input_moments import InputMoments, LayerMoments
from aebert.pruning.masks import expand_units
from aebert.pruning.output_importance import Importance, output_importance
from aebert.pruning.prune import with_matrix
from aebert.pruning.saliency import Saliency, site_scores
from aebert.pruning.structured_removal import StructuredRemoval
from aebert.pruning.unit_counts import MatrixKey, Site, list_sites
from aebert.pruning.zero_patterns import Block, BoolArray, ColumnBlock, Pattern, RowBlock, Structured, Vector
from aebert.search.scoring.embedded_rows import EmbeddedRows
from aebert.search.scoring.linear_cache import LinearCache, PreparedLinear
from aebert.search.scoring.tensor_files import make_key, open_part, part_is_whole, write_part
from aebert.search.space.grid import IntArray
from aebert.support.extensions import method_name

_SCHEMA = 4
_EXPANDED_BYTES = 256 * 2**20
_SMALLEST_HALF = 2.0**-24
NormName = Literal["attention", "ffn"]
Track = Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]]


@dataclass(frozen=True)
class Recipe:
    """How units are chosen, and whether the kept weights are corrected by least squares.

    ``saliency`` None: what leaves least error (docs/pruning.md), see ``criterion``. ``gradual``: with both, by the
    weights that are corrected so far, from the lightest level to the heaviest.
    """

    saliency: Saliency | None = None
    compensate: bool = True
    gradual: bool = True

    @property
    def needs_moments(self) -> bool:
        return self.compensate or self.saliency != "magnitude"

    def facts(self) -> dict[str, object]:
        """All by name."""
        saliency = None if self.saliency is None else method_name(self.saliency)
        return {"saliency": saliency, "compensate": self.compensate, "gradual": self.gradual}

    def criterion(self, pattern: Pattern) -> Saliency:
        """The saliency that chooses units of ``pattern``."""
        if self.saliency is not None:
            return self.saliency
        return "second-order" if isinstance(pattern, Structured) and self.compensate else "activation"

    def removes_gradually(self, pattern: Pattern) -> bool:
        """Whether levels of ``pattern`` follow from one another: heads and neurons by second order alone, and no
        pattern of one's own, whose masks need not be nested."""
        nested = isinstance(pattern, Block | ColumnBlock | RowBlock | Vector)
        if isinstance(pattern, Structured):
            nested = self.criterion(pattern) == "second-order"
        return self.gradual and self.compensate and nested

    def weighs_outputs(self, pattern: Pattern) -> bool:
        """Whether what a unit's removal loses is weighted by what it does to the prediction of a model with a head."""
        return isinstance(pattern, Structured) and self.removes_gradually(pattern)


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
        rows: EmbeddedRows,
    ) -> None:
        self.directory, self.encoder, self.pattern, self.recipe = directory, encoder, pattern, recipe
        self.key = weights_key(encoder, pattern, recipe, counts, rows)
        self.sites = tuple(list_sites(encoder.shape, pattern))
        self._levels = [{count: level for level, count in enumerate(own)} for own in stored_counts(self.sites, counts)]
        self._layers = [open_part(_layer_file(directory, i), self.key) for i in range(encoder.shape.layers)]
        self._site_of = {(site.layer, name): i for i, site in enumerate(self.sites) for name in site.matrices}
        self._rows = rows
        self._expanded = LinearCache(_EXPANDED_BYTES)

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        """The number of the site that decides about a matrix; None where the pattern leaves it dense."""
        return self._site_of.get((layer, name))

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        """A matrix whose site keeps ``kept`` units."""
        site = self.site_of(layer, name)
        if site is None or kept == self.sites[site].units:
            dense = self.encoder.layers[layer].matrix(name)
            return PreparedLinear(torch.from_numpy(dense.weight), torch.from_numpy(dense.bias))
        return self._expanded.get((layer, name, kept), lambda: self._expand(layer, name, site, kept))

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

    def masks(self, candidate: Candidate) -> dict[MatrixKey, BoolArray]:
        """The masks of all matrices, True where a weight is kept."""
        masks: dict[MatrixKey, BoolArray] = {
            (layer, name): np.ones(linear.weight.shape, bool) for layer, name, linear in self.encoder.matrices()
        }
        for number, (site, kept) in enumerate(zip(self.sites, candidate.kept, strict=True)):
            masks |= {(site.layer, name): self._mask(number, name, kept) for name in site.matrices}
        return masks

    def _mask(self, site: int, name: MatrixName, kept: int) -> BoolArray:
        rank = self._layers[self.sites[site].layer][_rank_name(self.sites[site])].numpy()
        return expand_units(rank < kept, self.sites[site], self.encoder.shape, self.pattern)[name]

    def _expand(self, layer: int, name: MatrixName, site: int, kept: int) -> PreparedLinear:
        mask = self._mask(site, name, kept)
        level = self._levels[site].get(kept)
        if level is None:
            stored = self._off_grid(layer, name, site, kept, mask)
            return PreparedLinear(expand_values(stored["values"], mask), stored["bias"])
        tensors, unit = self._layers[layer], self.sites[site]
        each = [count * mask.size // unit.units for count in self._levels[site]]
        first = sum(each[:level])
        values = tensors[f"{name}.values"][first : first + each[level]]
        return PreparedLinear(expand_values(values, mask), tensors[f"{name}.bias"][level])

    def _off_grid(
        self, layer: int, name: MatrixName, site: int, kept: int, mask: BoolArray
    ) -> Mapping[str, torch.Tensor]:
        """A count between levels, from its file, which is written by whoever asks first."""
        path = self.directory / f"between-{layer:02}-{name}-{kept}.safetensors"
        if not part_is_whole(path, self.key):
            dense = self.encoder.layers[layer].matrix(name)
            moments = self._rows.moments(layer).of(name) if self.recipe.compensate else None
            gradual = self.recipe.removes_gradually(self.pattern)
            start = None
            if gradual:
                lighter = min(count for count in [*self._levels[site], self.sites[site].units] if count > kept)
                start = self.linear(layer, name, lighter).weight.numpy()
            made = _fit(dense, mask, moments, None, start)
            values = kept_values(made.weight, mask, half=gradual)
            write_part(path, self.key, {"values": values, "bias": torch.from_numpy(made.bias)})
        return open_part(path, self.key)


def prepare_weights(
    directory: Path,
    host: HostModel,
    encoder: Encoder,
    pattern: Pattern,
    recipe: Recipe,
    counts: IntArray,
    rows: EmbeddedRows,
    track: Track = iter,
) -> PreparedWeights:
    """Make ``directory`` hold the weights of all ``counts`` [sites, levels] (``Grid.counts``), layer by layer.

    Layers that an earlier call, killed or complete, left whole are kept.
    """
    key = weights_key(encoder, pattern, recipe, counts, rows)
    importance: Importance | None = None
    sites = list_sites(encoder.shape, pattern)
    stored = dict(zip(sites, stored_counts(sites, counts), strict=True))
    for number, layer in enumerate(track(encoder.layers)):
        path = _layer_file(directory, number)
        if not part_is_whole(path, key):
            own = {site: kept for site, kept in stored.items() if site.layer == number}
            moments = rows.moments(number) if recipe.needs_moments else None
            if importance is None and host.has_classifier and recipe.weighs_outputs(pattern):
                embeddings = [chunk.embeddings for chunk in rows.chunks]
                importance = output_importance(host, encoder, embeddings)
            own_importance = {name: found for (at, name), found in (importance or {}).items() if at == number}
            write_part(path, key, _layer_tensors(layer, encoder.shape, pattern, recipe, own, moments, own_importance))
    return PreparedWeights(directory, encoder, pattern, recipe, counts, rows)


def weights_key(encoder: Encoder, pattern: Pattern, recipe: Recipe, counts: IntArray, rows: EmbeddedRows) -> str:
    """The digest of all that the weights follow from."""
    return make_key(
        schema=_SCHEMA,
        encoder=encoder.digest,
        pattern=str(pattern),
        recipe=recipe.facts(),
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
    importance: Mapping[MatrixName, torch.Tensor],
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    saliency = recipe.criterion(pattern)
    for site, kept in counts.items():
        if recipe.removes_gradually(pattern) and moments is not None:
            if isinstance(pattern, Structured):
                tensors |= _structured_tensors(layer, shape, pattern, site, kept, moments, importance)
                continue
            (name,) = site.matrices
            removal = GradualRemoval(layer.matrix(name), site, shape, pattern, saliency, moments.of(name))
            levels = list(_packed(removal.levels(kept), half=True))
            tensors |= _stacked(name, levels, layer.matrix(name))
            tensors[_rank_name(site)] = torch.from_numpy(removal.rank.astype(np.int32))
            continue
        rank = pattern.rank(site_scores(site, layer, shape, pattern, saliency, moments)).astype(np.int32)
        tensors[_rank_name(site)] = torch.from_numpy(rank)
        for name in site.matrices:
            linear = layer.matrix(name)
            own = moments.of(name) if recipe.compensate and moments is not None else None
            problem = None if own is None else reconstruction(linear, own)
            masks = [expand_units(rank < count, site, shape, pattern)[name] for count in kept]
            fitted = [_fit(linear, mask, own, problem) for mask in masks]
            levels = [
                (kept_values(made.weight, mask, half=False), torch.from_numpy(made.bias))
                for made, mask in zip(fitted, masks, strict=True)
            ]
            tensors |= _stacked(name, levels, linear)
    return tensors


def _structured_tensors(
    layer: EncoderLayer,
    shape: EncoderShape,
    pattern: Structured,
    site: Site,
    kept: Sequence[int],
    moments: LayerMoments,
    importance: Mapping[MatrixName, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Heads or neurons: the matrix that carries them onward is corrected, the others lose rows."""
    *_, carrier = site.matrices
    own = moments.of(carrier)
    removal = StructuredRemoval(reconstruction(layer.matrix(carrier), own), site.units, importance.get(carrier))
    levels: dict[MatrixName, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in site.matrices}
    for level in removal.levels(kept):
        for name, mask in expand_units(level.left, site, shape, pattern).items():
            linear = layer.matrix(name)
            weight, bias = linear.weight, linear.bias
            if name == carrier:
                weight, bias = level.weight, corrected_bias(linear, torch.from_numpy(level.weight), own.mean, own.mean)
            levels[name].append((kept_values(weight, mask, half=True), torch.from_numpy(bias)))
    tensors = {_rank_name(site): torch.from_numpy(removal.rank.astype(np.int32))}
    for name, made in levels.items():
        tensors |= _stacked(name, made, layer.matrix(name))
    return tensors


def _packed(levels: Iterable[GradualLevel], half: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Values and bias of each level; no more than one dense matrix is in memory at a time."""
    for level in levels:
        yield kept_values(level.linear.weight, level.mask, half), torch.from_numpy(level.linear.bias)


def _stacked(
    name: MatrixName, levels: Sequence[tuple[torch.Tensor, torch.Tensor]], linear: Linear
) -> dict[str, torch.Tensor]:
    """All levels of a matrix: values one after another, biases [levels, outputs]."""
    if not levels:
        return {f"{name}.values": torch.empty(0), f"{name}.bias": torch.empty(0, len(linear.bias))}
    values, biases = zip(*levels, strict=True)
    # One that a half cannot hold makes all of them float32.
    common = torch.float16 if all(part.dtype == torch.float16 for part in values) else torch.float32
    return {f"{name}.values": torch.cat([part.to(common) for part in values]), f"{name}.bias": torch.stack(biases)}


def kept_values(weight: FloatArray, mask: BoolArray, half: bool) -> torch.Tensor:
    """The weights where ``mask`` is True, row by row, 1-D; with ``half`` in float16 where all fit that range.

    No weight becomes zero for being stored: zeros are counted, and the ratio is exact.
    """
    values = torch.from_numpy(weight[mask])
    if not half:
        return values
    rounded = values.half()
    if not rounded.isfinite().all():
        return values
    lost = (rounded == 0) & (values != 0)
    return torch.where(lost, (_SMALLEST_HALF * values.sign()).half(), rounded)


def expand_values(values: torch.Tensor, mask: BoolArray) -> torch.Tensor:
    """The matrix [outputs, inputs] float32 with ``values`` where ``mask`` is True."""
    weight = torch.zeros(mask.shape)
    weight[torch.from_numpy(mask)] = values.float()
    return weight


def _fit(
    linear: Linear,
    mask: BoolArray,
    moments: InputMoments | None,
    problem: Reconstruction | None,
    start: FloatArray | None = None,
) -> Linear:
    if moments is not None:
        return compensate_kept(linear, mask, moments, problem, start)
    return Linear(np.where(mask, linear.weight, np.float32(0)), linear.bias)


def _rank_name(site: Site) -> str:
    return f"{site.matrices[0]}.rank"


def _layer_file(directory: Path, layer: int) -> Path:
    return directory / f"layer-{layer:02}.safetensors"
