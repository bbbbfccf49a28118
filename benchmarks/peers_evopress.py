"""EvoPress (Sieberling et al., ICML 2025, arXiv 2410.14649): ratios per matrix by evolution, without a surrogate.

SparseGPT makes every matrix at the counts that are asked for, on the dense model's inputs. A parent, uniform at first,
has offspring by level switches: one matrix keeps a step more, another of the same size a step less, so that the
overall ratio stays. Offspring are compared by the KL of their logits to the dense model's on few tokens, the survivors
on more, the last stage with the parent; tokens are drawn anew every time. Published for 400 generations of 64
offspring on a GPU; here as many as cost about what a search does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.digest import make_encoder
from aebert.models.encoder import Encoder, Linear, MatrixName
from aebert.models.fp32_forward import INPUT_OF, InputName
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.prune import with_matrix
from aebert.pruning.unit_counts import Site, list_sites, uniform_ratios, zeroed_units
from aebert.search.scoring.arithmetic import TorchArithmetic
from aebert.search.scoring.encoder_weights import EncoderWeights
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.scores import RowResults, Truth
from aebert.search.scoring.shared_evaluation import evaluate
from aebert.search.space.grid import IntArray
from benchmarks.peers_layerwise import Given, Unbound, sparsegpt_factor, sparsegpt_on

GENERATIONS, OFFSPRING = 50, 16
# Survivors, and tokens that they are chosen on.
STAGES = ((4, 2048), (1, 8192))
STEPS = 16  # of a matrix
MOST_SWITCHES = 3


class Database(EncoderWeights):
    """``Weights`` of SparseGPT's matrices at any count."""

    def __init__(self, given: Given, pattern: Unbound) -> None:
        super().__init__(given.encoder)
        self._pattern = pattern
        self.sites = list_sites(given.encoder.shape, pattern)
        self.units = np.array([site.units for site in self.sites])
        self._number = {(site.layer, site.matrices[0]): number for number, site in enumerate(self.sites)}
        self._factors: dict[tuple[int, InputName], torch.Tensor] = {}
        for layer, moments in enumerate(iterate_moments(given.encoder, given.states())):
            for name, inputs in moments.inputs.items():
                self._factors[layer, name] = sparsegpt_factor(inputs)
        self._made: dict[tuple[int, MatrixName, int], Linear] = {}

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        return self._number[layer, name]

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        found = self.matrix(layer, name, kept)
        return PreparedLinear(torch.from_numpy(found.weight), torch.from_numpy(found.bias))

    def matrix(self, layer: int, name: MatrixName, kept: int) -> Linear:
        key, dense = (layer, name, kept), self.encoder.layers[layer].matrix(name)
        if kept == self.units[self._number[layer, name]]:
            return dense
        if key not in self._made:
            self._made[key] = sparsegpt_on(self._factors[layer, INPUT_OF[name]], dense, kept, self._pattern)
        return self._made[key]

    def apply(self, kept: IntArray) -> Encoder:
        """The encoder whose sites keep ``kept`` [sites] units."""
        layers = list(self.encoder.layers)
        for site, count in zip(self.sites, kept.tolist(), strict=True):
            (name,) = site.matrices
            layers[site.layer] = with_matrix(layers[site.layer], name, self.matrix(site.layer, name, count))
        return make_encoder(self.encoder.shape, layers)


class Fitness:
    """Minus the KL of the logits to the dense model's (regression: half the squared difference)."""

    def __init__(self, given: Given, database: Database, stream: np.random.Generator) -> None:
        self._given, self._database, self._stream = given, database, stream
        self._rows = given.host.tokenise([row.text for row in given.rows], MAX_TOKENS)
        self._arithmetic = TorchArithmetic(torch.device("cpu"), torch.float32, given.encoder.shape.activation)

    def of(self, candidates: Sequence[IntArray], tokens: int) -> list[float]:
        """Of each of ``candidates`` ([sites] kept units), on rows drawn for this call that have ``tokens`` tokens."""
        order = self._stream.permutation(len(self._rows)).tolist()
        seen = np.cumsum([len(self._rows[row]) for row in order])
        rows = [self._rows[row] for row in order[: 1 + int(np.searchsorted(seen, tokens))]]
        states = self._given.host.embed_texts(rows)
        logits: dict[int, torch.Tensor] = {}

        def take(candidate: int, output: torch.Tensor) -> None:
            logits[candidate] = self._given.host.logits(output[:, None])

        kept = np.stack([self._database.units, *candidates])
        evaluate(self._database, kept, states, "first", self._arithmetic, take)
        truth = Truth(self._given.task, None, logits[0])
        return [
            truth.score("kl", RowResults(logits[1 + place], None), len(rows)).value for place in range(len(candidates))
        ]


def evopress(given: Given, pattern: Unbound, ratio: float, seed: int) -> Encoder:
    """What evolution from the uniform counts ends with."""
    stream = np.random.default_rng(seed)
    database = Database(given, pattern)
    fitness = Fitness(given, database, stream)
    zeroed = zeroed_units(given.encoder.shape, pattern, uniform_ratios(given.encoder.shape, pattern, ratio))
    parent = np.array([site.units - zeroed[site] for site in database.sites])
    for _ in range(GENERATIONS):
        survivors = [offspring(parent, database.sites, stream) for _ in range(OFFSPRING)]
        for most, tokens in STAGES:
            running = [*survivors, parent] if most == 1 else survivors
            values = fitness.of(running, tokens)
            survivors = [running[place] for place in np.argsort(values)[::-1][:most]]
        parent = survivors[0]
    return database.apply(parent)


def offspring(parent: IntArray, sites: Sequence[Site], stream: np.random.Generator) -> IntArray:
    """``parent`` [sites] after level switches, one to three of them, rather fewer than more."""
    child = parent.copy()
    for _ in range(min(stream.integers(1, MOST_SWITCHES + 1, size=2).tolist())):
        more = int(stream.integers(len(sites)))
        step = sites[more].units // STEPS
        others = [
            place
            for place, site in enumerate(sites)
            if place != more and site.units == sites[more].units and child[place] > step
        ]
        if others and child[more] + step <= sites[more].units:
            child[more] += step
            child[stream.choice(others)] -= step
    return child
