"""Does a design fit a board? If not: which resource overflows, by how much, and what helps."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from aebert.design.board import Board, Resources
from aebert.design.buffers import BoundBuffers, bind_many
from aebert.design.dies import DieRun, EnginePlaces, KernelBlocks, fits_dies, place_engines
from aebert.design.fifos import wires_outward
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_resources import KernelResources, count_resources
from aebert.design.operator_resources import ResourceCount
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.support.errors import AebertError

RESOURCES = tuple(field.name for field in fields(Resources))
TITLES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}

# The share of what a board offers that a design may take: the guidelines of Vivado's report_failfast (UG949, UG1399
# "Fail Fast"), beyond which timing closure becomes doubtful. Vivado states them for multi-die devices and lets
# single-die ones exceed them. Its 50 % for flip-flops is loosened to the LUTs' 70 %: every LUT has two.
CEILINGS = {"lut": 0.70, "ff": 0.70, "dsp": 0.80, "bram36": 0.80, "uram": 0.80}
# Assumption, for a device of one die.
SINGLE_DIE_CEILINGS = {"lut": 0.85, "ff": 0.85, "dsp": 0.95, "bram36": 0.95, "uram": 0.95}

# Of the wires between two dies, some of which the platform takes. Assumption: as of LUTs. Routed kernels on a U280 and
# their platform take 31 to 33 % of them (HeteroCL's BERT layers, Vitis 2022.1).
WIRES_CEILING = 0.70

# Assumption; the one figure at hand: v++ scaled a kernel from 200 to 154 MHz when 70 % of a U280's block RAM was in use
# (Vitis 2022.1, HeteroCL BERT layer).
CROWDED_CLOCK = 0.77

_REMEDIES = {
    "lut": "fewer tokens or fewer lanes",
    "ff": "fewer tokens or fewer lanes",
    "dsp": "fewer tokens or fewer lanes",
    "bram36": "a shorter maximum length or fewer token groups",
    "uram": "a shorter maximum length or fewer token groups",
}


@dataclass(frozen=True)
class Placement:
    """``compute_units`` copies of a kernel on a board: each may take at most ``limit`` (ceilings applied).

    ``slrs`` is the number of dies that a copy spans; ``runs``: these dies, of every copy that spans several.
    """

    compute_units: int
    slrs: int
    limit: Resources
    runs: tuple[DieRun, ...] = ()


def ceilings(board: Board) -> dict[str, float]:
    """The share of each resource that a design on this board may take."""
    return CEILINGS if len(board.slrs) > 1 else SINGLE_DIE_CEILINGS


def placements(board: Board, compute_units: int) -> tuple[Placement, ...]:
    """The ways to place equal copies: several on each die, or each on a run of neighbouring dies.

    Equal copies must fit the smallest place, so ``limit`` is the minimum over the places, resource by resource.
    """
    dies = [slr.available for slr in board.slrs]
    if compute_units > len(dies):
        per_die = -(-compute_units // len(dies))
        return (Placement(compute_units, 1, _limit(board, dies, per_die)),)
    found = []
    for span in range(1, len(dies) // compute_units + 1):
        runs = [sum(dies[first : first + span], Resources(0, 0, 0, 0, 0)) for first in range(len(dies) - span + 1)]
        chosen = _best_disjoint(runs, span, compute_units)
        limit = _limit(board, [runs[first] for first in chosen], 1)
        wires = None if board.wires_between_dies is None else int(WIRES_CEILING * board.wires_between_dies)
        taken = (DieRun(n, tuple(_limit(board, [die], 1) for die in dies[n : n + span]), wires) for n in chosen)
        found.append(Placement(compute_units, span, limit, tuple(taken) if span > 1 else ()))
    return tuple(found)


def _best_disjoint(runs: list[Resources], span: int, count: int) -> list[int]:
    """The first dies of ``count`` runs of neighbouring dies that do not overlap, those with the most LUTs in the
    smallest."""
    choices: list[list[int]] = [[]]
    for _ in range(count):
        choices = [[*chosen, i] for chosen in choices for i in range(chosen[-1] + span if chosen else 0, len(runs))]
    return max(choices, key=lambda chosen: min(runs[i].lut for i in chosen))


def _limit(board: Board, places: list[Resources], copies_per_place: int) -> Resources:
    share = ceilings(board)
    return Resources(
        *(int(share[name] * min(getattr(place, name) for place in places)) // copies_per_place for name in RESOURCES)
    )


@dataclass(frozen=True)
class Usage:
    """What one compute unit of each design takes in a placement [designs]; ``wires``: between an engine and what
    all of them share."""

    placement: Placement
    buffers: BoundBuffers
    resources: KernelResources
    engines: Ints
    wires: Ints

    @cached_property
    def shares(self) -> Floats:
        """Used / limit, [resources, designs]; inf where the board has none of what is used."""
        return _shares(self.resources.total, self.placement.limit)

    @cached_property
    def fits(self) -> npt.NDArray[np.bool_]:
        """Whether nothing overflows, and every engine finds a die."""
        result: npt.NDArray[np.bool_] = (self.shares <= 1).all(axis=0)
        for run in self.placement.runs:
            result = result & fits_dies(self.blocks, run)
        return result

    @cached_property
    def blocks(self) -> KernelBlocks:
        engine, whole = counts_of(self.resources.each_engine), counts_of(self.resources.total)
        return KernelBlocks(np.maximum(whole - self.engines * engine, 0.0), engine, self.engines, self.wires)


def counts_of(used: ResourceCount) -> Floats:
    """[resources, designs], in the order of `RESOURCES`."""
    return np.array(np.broadcast_arrays(*(getattr(used, name) for name in RESOURCES)))


def _shares(used: ResourceCount, limit: Resources) -> Floats:
    counts = counts_of(used)
    limits = np.array([getattr(limit, name) for name in RESOURCES], np.float64)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, counts / limits, 0.0)


def usage(sizes: Sizes, placement: Placement) -> Usage:
    """Counts each design with its buffers bound to what the placement leaves."""
    limit = placement.limit
    count = np.ones(len(sizes.tokens))
    bound = bind_many(sizes, luts=limit.lut * count, bram36=limit.bram36 * count, uram=limit.uram * count)
    return Usage(placement, bound, count_resources(sizes, bound), sizes.engines, wires_outward(sizes))


def check_fit(config: HardwareConfig, board: Board, compute_units: int = 1) -> Usage:
    """The usage in the first placement that holds the design, preferring those that span fewer dies.

    Raises AebertError naming the resource that overflows most, by how much, and a remedy.
    """
    if compute_units < 1:
        raise AebertError(f"compute units = {compute_units}: must be at least 1")
    if config.dsp != board.dsp:
        raise AebertError(f"hardware config: dsp = {config.dsp!r}, but board {board.name} has {board.dsp}")
    found = _placed(config, board, compute_units)
    if not found.fits.all():
        raise AebertError(_overflow(found, board))
    return found


def spanned_dies(config: HardwareConfig, board: Board, compute_units: int = 1) -> int:
    """Dies that one copy takes on the fewest that hold it, or that it would take where it fits none."""
    return _placed(config, board, compute_units).placement.slrs


def engine_places(config: HardwareConfig, board: Board, compute_units: int = 1) -> tuple[EnginePlaces, ...]:
    """Of each copy that spans several dies; none where a copy lies on one, or the design does not fit."""
    found = _placed(config, board, compute_units)
    places = [place_engines(found.blocks, run) for run in found.placement.runs]
    return tuple(each for each in places if each is not None) if found.fits.all() else ()


def _placed(config: HardwareConfig, board: Board, compute_units: int) -> Usage:
    """In the first placement that holds the design, else in the last and largest."""
    for placement in placements(board, compute_units):
        found = usage(Sizes.of(config), placement)
        if found.fits.all():
            break
    return found


def _overflow(found: Usage, board: Board) -> str:
    if (found.shares <= 1).all():
        return _too_large_for_a_die(found, board)
    name = RESOURCES[int(np.argmax(found.shares[:, 0]))]
    used = int(np.ceil(np.max(getattr(found.resources.total, name))))
    limit = getattr(found.placement.limit, name)
    copies = found.placement.compute_units
    per_unit = f" per compute unit ({copies} of them)" if copies > 1 else ""
    return (
        f"board {board.name}: the design needs {used} {TITLES[name]}, {used - limit} more than the {limit} it may use"
        f"{per_unit} ({ceilings(board)[name]:.0%} of what is available); choose {_REMEDIES[name]}"
        f"{' or fewer compute units' if copies > 1 else ''}"
    )


def _too_large_for_a_die(found: Usage, board: Board) -> str:
    engine, run = found.blocks.engine[:, 0], found.placement.runs[0]
    if fits_dies(found.blocks, replace(run, wires=None)).all():
        return (
            f"board {board.name}: no dies for {int(found.engines[0])} engine(s) of {int(found.wires[0])} wires to what "
            f"they share, of which {run.wires} may go from die to die ({WIRES_CEILING:.0%} of what is there); choose "
            "fewer engines, fewer tokens or lanes"
        )
    largest = np.array([astuple(limit) for limit in run.limits], np.float64).max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        row = int(np.argmax(np.where(engine > 0, engine / largest, 0.0)))
    return (
        f"board {board.name}: no dies for {int(found.engines[0])} engine(s) of {int(np.ceil(engine[row]))} "
        f"{TITLES[RESOURCES[row]]} and what they share, of which a die may give {int(largest[row])} "
        f"({ceilings(board)[RESOURCES[row]]:.0%} of what is available); choose more engines, fewer tokens or lanes"
    )


def achievable_clock_mhz(board: Board, used: Usage) -> Floats:
    """The clock that each design is assumed to reach [designs]; 0 where it does not fit.

    Assumption: the board's clock while every resource stays within report_failfast's guidelines, then falling linearly
    to `CROWDED_CLOCK` of it at a share of 0.95. What crossing between dies may cost is in the interval of the clock
    (aebert.cost_model.uncertainty), not here.
    """
    dies = used.placement.limit
    share = ceilings(board)
    worst = np.zeros(used.shares.shape[1])
    for row, name in enumerate(RESOURCES):
        of_available = used.shares[row] * share[name] if getattr(dies, name) else used.shares[row]
        worst = np.maximum(worst, (of_available - CEILINGS[name]) / (0.95 - CEILINGS[name]))
    factor = 1.0 - (1.0 - CROWDED_CLOCK) * np.clip(worst, 0.0, 1.0)
    return np.where(used.fits, board.clock_mhz * factor, 0.0)


def expected_clock_mhz(config: HardwareConfig, board: Board, compute_units: int = 1) -> float:
    """The board's clock, or less where the design crowds it (`achievable_clock_mhz`), in whole MHz.

    Raises AebertError when the design does not fit.
    """
    return float(np.floor(achievable_clock_mhz(board, check_fit(config, board, compute_units))[0]))
