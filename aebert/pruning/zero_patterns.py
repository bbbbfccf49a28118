"""Where zeros may fall: the pruning patterns and their spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from aebert.support.errors import AebertError
from aebert.support.extensions import find_method, offered

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DEFAULT_BANKS = 16


@dataclass(frozen=True)
class Block:
    """``rows`` x ``columns`` blocks anywhere in the matrix; 1x1 is unstructured pruning."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return "unstructured" if (self.rows, self.columns) == (1, 1) else f"block:{self.rows}x{self.columns}"

    @property
    def unit_shape(self) -> tuple[int, int]:
        """Outputs and inputs of the smallest group of weights that is kept or zeroed together."""
        return self.rows, self.columns

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        """The units to keep by their ``scores``: [row groups, column groups] bool with exactly ``kept`` True."""
        return _largest(scores.ravel(), kept).reshape(scores.shape)

    def rank(self, scores: Float64Array) -> IntArray:
        """The place of every unit in the order in which they are kept: ``select(scores, n)`` is ``rank(scores) < n``.

        One ranking gives the masks of all ratios; ``select`` is the quicker way to a single one.
        """
        return _descending_rank(scores.ravel(), axis=0).reshape(scores.shape)


@dataclass(frozen=True)
class ColumnBlock:
    """Column-balanced blocks (Peng et al., ISQED 2021): each block column keeps the same number of blocks.

    Where the count does not divide evenly, the columns whose next block scores best keep one more.
    """

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"column-block:{self.rows}x{self.columns}"

    @property
    def unit_shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        return self.rank(scores) < kept

    def rank(self, scores: Float64Array) -> IntArray:
        return _balanced_rank(scores)


@dataclass(frozen=True)
class RowBlock:
    """Row-balanced blocks: each block row keeps the same number, remainders as in ``ColumnBlock``."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"row-block:{self.rows}x{self.columns}"

    @property
    def unit_shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        return self.rank(scores) < kept

    def rank(self, scores: Float64Array) -> IntArray:
        return np.ascontiguousarray(_balanced_rank(scores.T).T)


@dataclass(frozen=True)
class Vector:
    """Bank-balanced vectors of ``outputs`` x 1 weights. Input channel c lies in bank c mod ``banks``.

    The engine works through a group of ``outputs`` rows in rounds, one vector of each bank per round, so every bank of
    a row group keeps the same number of vectors. A count that is no multiple of a round is met exactly as follows:
    all row groups keep the same number of whole rounds; the row groups that gain most keep one round more; and at
    most one row group of the matrix has a last round in which only the best banks keep a vector. Banks that have run
    out of channels (inputs no multiple of banks) are left out of a round.
    """

    outputs: int
    banks: int = DEFAULT_BANKS

    def __str__(self) -> str:
        return f"vector:{self.outputs}x1" + ("" if self.banks == DEFAULT_BANKS else f"/{self.banks}")

    @property
    def unit_shape(self) -> tuple[int, int]:
        return self.outputs, 1

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        return self.rank(scores) < kept

    def rank(self, scores: Float64Array) -> IntArray:
        groups, inputs = scores.shape
        depth = -(-inputs // self.banks)
        padded = np.full((groups, depth * self.banks), -np.inf)
        padded[:, :inputs] = scores
        banked = padded.reshape(groups, depth, self.banks)
        round_of = _descending_rank(banked, axis=1)
        # From here on by round instead of by place in the bank; a bank that has run out gives -inf.
        rounds = -np.sort(-banked, axis=1)
        gain = np.where(np.isfinite(rounds), rounds, 0.0).sum(axis=2)
        in_round = np.minimum(self.banks, inputs - self.banks * np.arange(depth))
        before = groups * np.concatenate([[0], np.cumsum(in_round)[:-1]])
        group_place = before + _descending_rank(gain, axis=0) * in_round
        place = group_place[:, :, None] + _descending_rank(rounds, axis=2)
        ranked: IntArray = np.take_along_axis(place, round_of, axis=1)
        return ranked.reshape(groups, -1)[:, :inputs]


@dataclass(frozen=True)
class Structured:
    """Whole attention heads, whole FFN neurons, or both; the shapes stay and the removed parts become zeros."""

    heads: bool
    neurons: bool

    def __str__(self) -> str:
        return "+".join(name for name, used in (("head", self.heads), ("neuron", self.neurons)) if used)

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        """The heads or neurons of one layer to keep, given their scores, both 1-D."""
        return self.rank(scores) < kept

    def rank(self, scores: Float64Array) -> IntArray:
        return _descending_rank(scores, axis=0)


@runtime_checkable
class OwnPattern(Protocol):
    """Masks of one's own: which units of a matrix are kept, for any count of them.

    ``str()`` gives the name under which a package offers the pattern, so that a subnet can be read again. Patterns
    travel to worker processes: a frozen dataclass of a module does.
    """

    @property
    def unit_shape(self) -> tuple[int, int]:
        """Outputs and inputs of the smallest group of weights that is kept or zeroed together."""
        ...

    def select(self, scores: Float64Array, kept: int) -> BoolArray:
        """The units to keep by their ``scores``: [row groups, column groups] bool with exactly ``kept`` True."""
        ...

    def rank(self, scores: Float64Array) -> IntArray:
        """The place of every unit in the order in which they are kept: ``select(scores, n)`` is ``rank(scores) < n``,
        so each of 0 to their number stands there once."""
        ...


Pattern = Block | ColumnBlock | RowBlock | Vector | Structured | OwnPattern

_SPELLING = re.compile(
    r"(block|column-block|row-block|vector):([1-9]\d{0,3})x([1-9]\d{0,3})(?:/([1-9]\d{0,3}))?", re.ASCII
)
SPELLINGS = (
    "unstructured, block:RxC, column-block:RxC, row-block:RxC, vector:BNx1, vector:BNx1/BANKS, "
    "head, neuron, head+neuron"
)


def parse_pattern(text: str) -> Pattern:
    """A pattern from its spelling (``SPELLINGS``). ``str()`` of a pattern gives the spelling back."""
    fixed: dict[str, Pattern] = {
        "unstructured": Block(1, 1),
        "head": Structured(heads=True, neurons=False),
        "neuron": Structured(heads=False, neurons=True),
        "head+neuron": Structured(heads=True, neurons=True),
    }
    if text in fixed:
        return fixed[text]
    match = _SPELLING.fullmatch(text)
    if match:
        kind, rows, columns, banks = match[1], int(match[2]), int(match[3]), match[4]
        if kind == "vector" and columns == 1:
            return Vector(rows, int(banks) if banks else DEFAULT_BANKS)
        if kind != "vector" and banks is None:
            blocks: dict[str, type[Block | ColumnBlock | RowBlock]] = {
                "block": Block,
                "column-block": ColumnBlock,
                "row-block": RowBlock,
            }
            return blocks[kind](rows, columns)
    return _own_pattern(text)


def _own_pattern(name: str) -> Pattern:
    """What an installed package offers as ``name``; a class is called without arguments."""
    if name not in offered("pattern"):
        more = "".join(f", {other}" for other in offered("pattern"))
        raise AebertError(f"pattern {name!r} is not known; write one of: {SPELLINGS}{more}")
    found = find_method("pattern", name, ())
    pattern = found() if isinstance(found, type) else found
    if not isinstance(pattern, OwnPattern) or str(pattern) != name:
        raise AebertError(
            f"pattern {name!r}: has no unit_shape, select and rank, or calls itself {str(pattern)!r}; "
            "see docs/own_methods.md"
        )
    return pattern


def _balanced_rank(scores: Float64Array) -> IntArray:
    """All columns' best units come first, then all second ones, and so on; each time in the order of their scores."""
    own = _descending_rank(scores, axis=0)
    among_columns = _descending_rank(-np.sort(-scores, axis=0), axis=1)
    return own * scores.shape[1] + np.take_along_axis(among_columns, own, axis=0)


def _descending_rank(scores: Float64Array, axis: int) -> IntArray:
    """0 for the largest along ``axis``, 1 for the next; ties go to the lower index."""
    order = np.argsort(-scores, axis=axis, kind="stable")
    rank = np.empty(scores.shape, dtype=np.int64)
    places = np.expand_dims(np.arange(scores.shape[axis]), [i for i in range(scores.ndim) if i != axis])
    np.put_along_axis(rank, order, np.broadcast_to(places, scores.shape), axis=axis)
    return rank


def _largest(scores: Float64Array, count: int) -> BoolArray:
    """Exactly ``count`` True at the largest of 1-D ``scores``; ties go to the lower index. Linear in their number."""
    if not 0 < count < len(scores):
        return np.full(scores.shape, count > 0)
    threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
    mask: BoolArray = scores > threshold
    mask[np.flatnonzero(scores == threshold)[: count - np.count_nonzero(mask)]] = True
    return mask
