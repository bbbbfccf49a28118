"""A Transformer layer by the CPU's kernels, in fp32: quick where weights are in good part zero.

What a token gives depends neither on the other tokens nor on the number of threads, ``torch.get_num_threads()``.
"""

from __future__ import annotations

from collections import defaultdict

import torch

from aebert.models.packed_sequences import PackedStates
from aebert.search.scoring.cpu_kernels import CpuKernels
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.prepared_weights import PreparedNorm


class Tiles:
    """States of ``tokens`` tokens with ``features`` features each: ``tiles`` [tiles, padded features, tile's tokens].

    The buffer goes back to its pool with the last reference to the states. It is private for that reason.
    """

    def __init__(self, pool: _Pool, tiles: torch.Tensor, tokens: int, features: int) -> None:
        self._pool, self._tiles, self.tokens, self.features = pool, tiles, tokens, features

    def __del__(self) -> None:
        self._pool.give(self._tiles)

    @property
    def count(self) -> int:
        """The number of tiles."""
        return len(self._tiles)

    @property
    def address(self) -> int:
        return self._tiles.data_ptr()

    def values(self, chosen: torch.Tensor) -> torch.Tensor:
        """A copy of the states of the ``chosen`` tokens, [chosen, features]."""
        width = self._tiles.shape[2]
        return self._tiles[chosen // width, : self.features, chosen % width]


class _Pool:
    """Buffers to use again: fresh memory costs a page fault for every 4 KiB."""

    def __init__(self) -> None:
        self._spare: defaultdict[tuple[int, ...], list[torch.Tensor]] = defaultdict(list)

    def take(self, shape: tuple[int, ...]) -> torch.Tensor:
        """A buffer of zeros, or of numbers from an earlier use: the kernels compute with the padding too."""
        spare = self._spare[shape]
        return spare.pop() if spare else torch.zeros(shape)

    def give(self, buffer: torch.Tensor) -> None:
        self._spare[tuple(buffer.shape)].append(buffer)


class TileArithmetic:
    """``Arithmetic`` by the ``kernels``. Columns that are zero in 4, 2 or 1 consecutive rows of a weight are skipped,
    whichever is the quickest; a dense weight takes about as long as PyTorch needs.

    NaN and infinities of a token's input reach its outputs whose weight for that input is not zero; a zero weight
    either stops them or lets NaN through.
    """

    def __init__(self, kernels: CpuKernels) -> None:
        self._kernels, self._width, self._pool = kernels, kernels.tile_tokens, _Pool()

    def states(self, values: torch.Tensor) -> Tiles:
        tokens, features = values.shape
        made = self._new(tokens, features)
        padded = torch.zeros(made.count * self._width, features)
        padded[:tokens] = values
        made._tiles[:, :features] = padded.view(made.count, self._width, features).transpose(1, 2)
        return made

    def values(self, states: Tiles) -> torch.Tensor:
        return states.values(torch.arange(states.tokens))

    def tokens(self, states: Tiles, chosen: torch.Tensor) -> Tiles:
        return self.states(states.values(chosen))

    def linear(self, inputs: Tiles, linear: PreparedLinear) -> Tiles:
        return self._linear(inputs, linear)

    def linear_activated(self, inputs: Tiles, linear: PreparedLinear) -> Tiles:
        """Exact GELU, the only function that the kernels have."""
        return self._linear(inputs, linear, activate=True)

    def linear_norm(self, inputs: Tiles, linear: PreparedLinear, residual: Tiles, norm: PreparedNorm) -> Tiles:
        return self._linear(inputs, linear, follow=(residual, norm))

    def attention(self, query: Tiles, key: Tiles, value: Tiles, sequences: PackedStates, heads: int) -> Tiles:
        lengths = torch.tensor(sequences.lengths, dtype=torch.int64)
        first_only = query.tokens != key.tokens
        asked = len(lengths) if first_only else key.tokens
        hidden = heads * (key.features // heads)
        _require(
            "attention",
            key.tokens == value.tokens == int(lengths.sum())
            and query.tokens == asked
            and query.features == key.features == value.features == hidden,
        )
        context = self._new(query.tokens, query.features)
        self._kernels.attention(
            *(query.address, key.address, value.address, lengths.data_ptr(), len(lengths), first_only),
            *(heads, hidden // heads, context.address, torch.get_num_threads()),
        )
        return context

    def _linear(
        self,
        inputs: Tiles,
        linear: PreparedLinear,
        activate: bool = False,
        follow: tuple[Tiles, PreparedNorm] | None = None,
    ) -> Tiles:
        weight, bias = linear.weight.contiguous(), linear.bias.contiguous()
        rows, columns = weight.shape
        parts = [weight, bias] if follow is None else [weight, bias, follow[1].gamma, follow[1].beta]
        _require(
            "linear",
            inputs.features == columns
            and all(part.dtype == torch.float32 and part.device.type == "cpu" for part in parts)
            and all(part.shape == (rows,) and part.is_contiguous() for part in parts[1:])
            and (follow is None or (follow[0].tokens, follow[0].features) == (inputs.tokens, rows)),
        )
        made = self._new(inputs.tokens, rows)
        after: tuple[int | None, int | None, int | None, float] = (None, None, None, 0.0)
        if follow is not None:
            residual, norm = follow
            after = (residual.address, norm.gamma.data_ptr(), norm.beta.data_ptr(), norm.epsilon)
        self._kernels.linear(
            *(inputs.address, inputs.count, weight.data_ptr(), rows, columns, bias.data_ptr(), activate),
            *(*after, made.address, torch.get_num_threads()),
        )
        return made

    def _new(self, tokens: int, features: int) -> Tiles:
        shape = (-(-tokens // self._width), self._kernels.tile_rows(features), self._width)
        return Tiles(self._pool, self._pool.take(shape), tokens, features)


def _require(what: str, holds: bool) -> None:
    """The kernels read and write plain memory: nothing that does not fit may reach them."""
    if not holds:
        raise ValueError(f"{what}: states and weights of types or shapes that do not fit together")
