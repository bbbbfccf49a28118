"""The Sextans SpMM accelerator as a structure: what one launch does, from its authors' HLS code and paper.

Song et al., "Sextans: A Streaming Accelerator for General-Purpose Sparse-Matrix Dense-Matrix Multiplication", FPGA
2022; github.com/linghaosong/Sextans, branch hls, U280/ and U250/. Measured runs: Pyxis (arXiv:2110.04280, MIT licence).

C[M, N] = A[M, K] B[K, N]: for every 8 columns of B, its rows pass in windows of 4096; a window is copied to the PEs 8
rows a cycle, then each PE takes one non-zero a cycle. Row r belongs to PE r mod P; a PE touches the same row again only
10 cycles later, and all PEs wait for the slowest. At the end C is written, several rows a cycle.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aebert.cost_model.observations import Floats, Indices, Observations
from aebert.cost_model.robust_fit import Fit, Prior

WINDOW, BATCH_COLUMNS, ROWS_READ, RAW_DISTANCE = 4096, 8, 8, 10
CLOCK_MHZ = 197.0  # sextans.xclbin.info of the U280 build; the U250's is not published
COLUMNS = np.array([8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
BATCHES = COLUMNS / BATCH_COLUMNS
TERMS = ("launch", "batch", "window", "read B", "write C", "clear C", "non-zeros", "imbalance", "row waits")
_SCHEDULE = TERMS.index("non-zeros")
# Cycles as the code has them; microseconds for the launch and tens of cycles for a batch and a window are guesses.
# Far-off runs are common (matrices with a few long rows), hence few degrees of freedom.
PRIOR = Prior(
    np.array([12.0, 20.0, 30.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.2, 1.0, 1.0]),
    noise=0.1,
    freedom=1.5,
)


@dataclass(frozen=True)
class Board:
    """``pes``: 8 per memory channel of A. ``rows_written`` a cycle."""

    name: str
    pes: int
    rows_written: int


U280 = Board("U280", pes=64, rows_written=16)
U250 = Board("U250", pes=32, rows_written=8)
BOARDS = (U280, U250)


@dataclass(frozen=True)
class Matrices:
    """Sparse matrices [matrices], with every board's latency [matrices, COLUMNS] in microseconds.

    ``number`` is SuiteSparse's: neighbours often come from one collection. ``family``: the name up to its first digit.
    """

    rows: Floats
    columns: Floats
    nonzeros: Floats
    number: Floats
    family: tuple[str, ...]
    latency_us: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Indices) -> Matrices:
        return Matrices(
            self.rows[chosen],
            self.columns[chosen],
            self.nonzeros[chosen],
            self.number[chosen],
            tuple(self.family[index] for index in chosen),
            {board: latency[chosen] for board, latency in self.latency_us.items()},
        )

    def sizes(self) -> Floats:
        """Features [matrices, 5] from sizes: logarithms of rows, columns, non-zeros and of those per row and column."""
        m, k, nnz = self.rows, self.columns, self.nonzeros
        logarithms: Floats = np.log(np.stack([m, k, nnz, nnz / m, nnz / k], axis=1))
        return logarithms

    def catalogued(self) -> Floats:
        """With the catalogue's number."""
        return np.column_stack([self.sizes(), self.number])


def read_matrices(path: Path) -> Matrices:
    """The board runs of hls_reports, one line per run."""
    with path.open(newline="") as handle:
        lines = list(csv.DictReader(handle, delimiter="\t"))
    keys = sorted({(line["values"], int(line["matrix_id"])) for line in lines})
    place = {key: index for index, key in enumerate(keys)}
    latency = {board.name: np.full((len(place), len(COLUMNS)), np.nan) for board in BOARDS}
    numbers = np.zeros((len(place), 4))
    family = [""] * len(place)
    for line in lines:
        index = place[line["values"], int(line["matrix_id"])]
        numbers[index] = [float(line[name]) for name in ("M", "K", "NNZ", "matrix_id")]
        family[index] = re.split(r"[-_]?\d", line["name"].lower(), maxsplit=1)[0]
        column = COLUMNS.tolist().index(float(line["N"]))
        latency[line["board"]][index, column] = 1e3 * float(line["latency_ms"])
    rows, columns, nonzeros, number = numbers.T
    return Matrices(rows, columns, nonzeros, number, tuple(family), latency)


def amounts(board: Board, matrices: Matrices) -> Floats:
    """[matrices, COLUMNS, TERMS] in microseconds at `CLOCK_MHZ`, for coefficients of 1; launch in microseconds.

    Non-zeros are taken to lie at independent places: the fullest of P PEs then has sqrt(2 ln P) deviations more than
    its share in every window, and the longest of M rows sqrt(2 ln M) more, of which each non-zero waits 10 cycles for
    the one before (extremes of a normal distribution). What rows really look like is not in M, K and NNZ.
    """
    m, k, nnz = matrices.rows, matrices.columns, matrices.nonzeros
    windows, per_row = np.ceil(k / WINDOW), nnz / m
    share = nnz / board.pes
    spread = np.sqrt(2 * np.log(board.pes) * share * windows * np.maximum(per_row / windows, 1.0))
    longest = RAW_DISTANCE * (per_row + np.sqrt(2 * np.log(m + 1) * per_row * windows))
    per_batch = np.stack(
        [
            np.ones_like(m),
            windows,
            np.ceil(k / ROWS_READ),
            np.ceil(m / board.rows_written),
            np.ceil(m / board.pes),
            share,
            np.minimum(spread, nnz),
            np.maximum(longest - share, 0.0),
        ],
        axis=1,
    )
    result = np.empty((len(m), len(COLUMNS), len(TERMS)))
    result[:, :, 0] = 1.0
    result[:, :, 1:] = per_batch[:, None, :] * BATCHES[None, :, None] / CLOCK_MHZ
    return result


def observations(board: Board, matrices: Matrices) -> Observations:
    """Every run of ``matrices`` on ``board``."""
    flat = amounts(board, matrices).reshape(-1, len(TERMS))
    return Observations(TERMS, flat, matrices.latency_us[board.name].reshape(-1))


@dataclass(frozen=True)
class Split:
    """Latency = launch + batches x (fixed + schedule), microseconds [matrices]; ``schedule``: of the non-zeros.

    ``stream``: the schedule if all PEs were busy all the time.
    """

    launch: float
    fixed: Floats
    schedule: Floats
    stream: Floats

    def latency(self, schedule: Floats) -> Floats:
        """[matrices, COLUMNS] for another schedule [matrices]."""
        return self.launch + BATCHES * (self.fixed + schedule)[:, None]

    def schedule_share(self, schedule: Floats) -> Floats:
        """Of the latency [matrices, COLUMNS]."""
        return BATCHES * schedule[:, None] / self.latency(schedule)


def split(fitted: Fit, board: Board, matrices: Matrices) -> Split:
    """The structure with its fitted coefficients."""
    one_batch = amounts(board, matrices)[:, 0] * fitted.coefficients
    stream = one_batch[:, _SCHEDULE]
    return Split(float(one_batch[0, 0]), one_batch[:, 1:_SCHEDULE].sum(1), one_batch[:, _SCHEDULE:].sum(1), stream)


def measured_schedule(parts: Split, latency_us: Floats, columns: slice = slice(3, None)) -> Floats:
    """The schedule that runs of the matrices show, [matrices]; the median over ``columns`` of COLUMNS."""
    per_batch = (latency_us[:, columns] - parts.launch) / BATCHES[columns] - parts.fixed[:, None]
    return np.maximum(np.median(per_batch, axis=1), 0.3 * parts.stream)


def other_board(schedule: Floats, from_stream: Floats, to_stream: Floats, power: float) -> Floats:
    """The schedule on a board with other PEs: waits for rows stay, the stream is what changes.

    ``power`` 1 would add the two, infinity take the longer.
    """
    waits = np.maximum(schedule**power - from_stream**power, 0.0)
    schedule_there: Floats = (waits + to_stream**power) ** (1 / power)
    return schedule_there
