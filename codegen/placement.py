"""Where compute units and their memory ports go: SLRs and memory banks of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aebert.design.board import Board, MemoryBank
from aebert.design.board_fit import engine_places
from aebert.design.dies import EnginePlaces
from aebert.design.fifos import wires_outward
from aebert.design.hardware_config import MAX_LAYERS, HardwareConfig
from aebert.design.kernel_records import PARAMETER_BYTES, PASS_BYTES
from aebert.design.kernel_streams import ENGINE_PROCESSES, PROCESSES
from aebert.design.size_arrays import Sizes
from aebert.support.errors import AebertError
from codegen.manifest import TOP
from codegen.render import ports, trip_counts

# A compute unit is pinned to one SLR only if its array leaves room for the rest: UG949 (UltraFast methodology) asks for
# no more than 70 to 80 % of a region's resources.
MAX_SLR_FILL = 0.7


@dataclass(frozen=True)
class ComputeUnit:
    """One instance of the kernel. ``slr`` is None where it may spread; ``banks``: (port, memory tag) of each; ``dies``:
    (process, SLR) where it spans several, and ``wires``: over the boundary between two dies that most of them cross."""

    name: str
    slr: str | None
    banks: tuple[tuple[str, str], ...]
    dies: tuple[tuple[str, str], ...] = ()
    wires: int = 0


def port_traffic(config: HardwareConfig) -> dict[str, int]:
    """Words that the largest dense encoder of the design moves over each port in one launch."""
    trips = trip_counts(config)
    # Per layer: six matrices' outputs, the context's requantisation and two LayerNorms.
    channels = MAX_LAYERS * (8 * config.max_hidden + config.max_ffn)
    vectors = trips.norm_vectors // config.row_slices * config.words_per_vector
    return {
        "pass_table": trips.passes * PASS_BYTES // config.word_bytes,
        "weights": trips.weight_words,
        "indices": trips.index_words,
        "parameters": channels * PARAMETER_BYTES // config.word_bytes,
        "embeddings": vectors,
        "results": vectors,
    }


def place_compute_units(config: HardwareConfig, board: Board, count: int) -> tuple[ComputeUnit, ...]:
    """``count`` compute units on ``board``.

    SLRs are taken in turn, the one with most free DSPs first. Every port goes to the bank with the least traffic so
    far (`port_traffic`), the heaviest port first and banks of the unit's own SLR preferred: so weights get a bank of
    their own, and indices another, wherever there are enough. Raises AebertError when ``count`` is not positive.
    """
    if count < 1:
        raise AebertError(f"compute units: {count}, must be at least 1")
    regions = sorted(range(len(board.slrs)), key=lambda number: (-board.slrs[number].available.dsp, number))
    array_dsps = int(Sizes.of(config).array_dsps[0])
    places = engine_places(config, board, count)
    outward = int(wires_outward(Sizes.of(config))[0])
    load = dict.fromkeys((bank.tag for bank in board.memory.banks), 0)
    units = []
    for number in range(count):
        region = regions[number % len(regions)]
        pinned = not places and len(regions) > 1 and array_dsps <= MAX_SLR_FILL * board.slrs[region].available.dsp
        units.append(
            ComputeUnit(
                name=f"{TOP}_{number + 1}",
                slr=board.slrs[region].name if pinned else None,
                banks=_assign_banks(config, board.memory.banks, places[number].shared if places else region, load),
                dies=_dies_of_processes(places[number], board) if places else (),
                wires=places[number].across * outward if places else 0,
            )
        )
    return tuple(units)


def _dies_of_processes(places: EnginePlaces, board: Board) -> tuple[tuple[str, str], ...]:
    """Every process, as Vitis HLS names its instance: of several calls the second is <name>_1."""
    shared = [(name, board.slrs[places.shared].name) for name in PROCESSES if name not in ENGINE_PROCESSES]
    engines = (
        (f"{name}_{number}" if number else name, board.slrs[die].name)
        for number, die in enumerate(places.engines)
        for name in ENGINE_PROCESSES
    )
    return (*shared, *engines)


def _assign_banks(
    config: HardwareConfig, banks: Sequence[MemoryBank], region: int, load: dict[str, int]
) -> tuple[tuple[str, str], ...]:
    """Adds the traffic of one compute unit's ports to ``load``."""
    order = {bank.tag: number for number, bank in enumerate(banks)}
    traffic = port_traffic(config)
    chosen: dict[str, str] = {}
    for port in sorted(traffic, key=lambda name: -traffic[name]):
        bank = min(banks, key=lambda bank: (load[bank.tag], bank.slr != region, order[bank.tag]))
        load[bank.tag] += traffic[port]
        chosen[port] = bank.tag
    return tuple((port.name, chosen[port.name]) for port in ports(config))
