"""What a launch takes outside of the kernel: its start and end, and the host's transfers; from other kernels on boards.

`python -m benchmarks.surroundings --data FOLDER` prints where the figures come from.
"""

from __future__ import annotations

from dataclasses import dataclass

from aebert.cost_model.spread import Spread
from aebert.design.board import Board
from aebert.design.kernel_records import PASS_BYTES

# Sextans on U280 and U250, 161 matrices of fewer than 1000 non-zeros, N = 8: the launch is nearly all of what a run
# takes. Median with 5th and 95th percentile, ms. A board of neither kind may be anything between the two.
LAUNCH_MS = {"u280": (0.0108, 0.0105, 0.0126), "u250": (0.0334, 0.0285, 0.0338)}
_OTHER_LAUNCH_MS = (0.019, 0.0105, 0.0338)
# XRT profiles of three HeteroCL BERT kernels on a U280 (PCIe Gen3 x16): one write of 7141 kB and one read of 36.9 kB
# each. Two unknowns, a start per transfer and a rate; geometric means, nine of ten of other runs by Student's t.
TRANSFER_START_MS = 0.0648
_START = Spread(1 / 1.33, 1.33, "")
TRANSFER_GB_S = 8.77
_RATE = Spread(1 / 1.53, 1.53, "")
_TRANSFERS = 3  # program and input to the board, output from it


@dataclass(frozen=True)
class Surrounding:
    """Milliseconds of one launch, or None where no run on such a board is known; ``basis`` says which it rests on."""

    ms: float | None
    spread: Spread

    @property
    def basis(self) -> str:
        return self.spread.basis


def launch_overhead(board: Board) -> Surrounding:
    """From the host's call until the kernel starts, and from its end until the host knows."""
    if not _over_pcie(board):
        return Surrounding(None, Spread(1.0, 1.0, f"no run on a {board.memory.kind} board is known"))
    median, low, high = LAUNCH_MS.get(board.name, _OTHER_LAUNCH_MS)
    whose = board.title if board.name in LAUNCH_MS else "U280 and U250, another board"
    return Surrounding(median, Spread(low / median, high / median, f"idle launches of Sextans, {whose}", assumed=True))


def host_transfer(board: Board, passes: int, in_bytes: int, out_bytes: int) -> Surrounding:
    """Program of ``passes`` passes and embeddings in, hidden states out."""
    if not _over_pcie(board):
        return Surrounding(None, Spread(1.0, 1.0, f"no run on a {board.memory.kind} board is known"))
    starts = _TRANSFERS * TRANSFER_START_MS
    moved = (passes * PASS_BYTES + in_bytes + out_bytes) / TRANSFER_GB_S / 1e6
    total = starts + moved
    # The two are independent: on each side their widths add in squares.
    low = ((starts * (1 - _START.low)) ** 2 + (moved * (1 - _RATE.low)) ** 2) ** 0.5
    high = ((starts * (_START.high - 1)) ** 2 + (moved * (_RATE.high - 1)) ** 2) ** 0.5
    basis = "three transfers as XRT profiled them for three BERT kernels, U280"
    return Surrounding(total, Spread(1 - low / total, 1 + high / total, basis, assumed=True))


def _over_pcie(board: Board) -> bool:
    return board.memory.kind != "PS-DDR"
