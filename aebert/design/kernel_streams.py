"""The streams between the kernel's processes, their depths, and the processes and ports that they join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.design import kernel_records as records
from aebert.design.cpp_records import Bit, Record
from aebert.design.size_arrays import Ints, Sizes

PORTS = ("pass_table", "weights", "indices", "parameters", "embeddings", "results")
# Of these each engine has its own.
ENGINE_PROCESSES = (
    *("hand_out_passes", "engine", "requantise", "row_maximum", "exponentials", "reciprocals", "layer_norm"),
    "gather_output",
)
PROCESSES = (
    *("read_program", "read_weights", "read_indices", "list_row_groups", "sequence", "read_parameters", "read_input"),
    *("fetch_tiles", *ENGINE_PROCESSES, "write_output"),
)

PASS_DEPTH = 4
# Passes that the program is ahead of a unit behind an engine: in two FIFOs and in what hands them on.
PASSES_AHEAD = 2 * PASS_DEPTH + 1
HEADER_DEPTH = 2
ROW_GROUP_DEPTH = 32
# A step waits for its tile, which is fetched on a command of the same moment.
STEP_DEPTH = 32
FETCH_DEPTH = 16
# Covers the way of a tile to the engines and of its credit back, so that one can leave in every cycle.
PLACED_TILE_DEPTH = 32
VECTOR_DEPTH = 16
WRITE_BACK_DEPTH = 16
# Places for scores beyond one head's: what arrives between the head's maximum and its first exponential.
HELD_SCORES_SLACK = 64


def stream_depths(sizes: Sizes) -> Mapping[str, Ints]:
    """Elements of every stream by the name of its depth, int64 [designs]."""
    fixed = {
        "pass": PASS_DEPTH,
        "header": HEADER_DEPTH,
        "row_group": ROW_GROUP_DEPTH,
        "step": STEP_DEPTH,
        "fetch": FETCH_DEPTH,
        "placed_tile": PLACED_TILE_DEPTH,
        "vector": VECTOR_DEPTH,
        "write_back": WRITE_BACK_DEPTH,
    }
    parts = sizes.length_groups * sizes.row_slices
    # Of the maxima and totals a head waits while the next one's are written; reciprocals also wait for the context,
    # which runs two heads behind.
    return {name: np.full_like(sizes.tokens, depth) for name, depth in fixed.items()} | {
        "tile": sizes.tile_fifo,
        "parameter": sizes.parameter_fifo,
        "sums": sizes.sums_fifo,
        "held": parts * sizes.max_length + HELD_SCORES_SLACK,
        "maximum": 2 * parts,
        "total": 2 * parts,
        "reciprocal": 4 * parts,
    }


@dataclass(frozen=True)
class Stream:
    """``depth`` names one of `stream_depths`; ``per`` the extents of an array of streams, outermost first; ``buffer``
    the on-chip buffer (aebert.design.buffers) as which a deep one is bound and counted; ``outward``: between an engine
    and what all of them share, so from die to die where they lie on different ones."""

    name: str
    element: Record | Bit
    depth: str
    per: tuple[str, ...] = ()
    buffer: str = ""
    outward: bool = False


_EACH = ("engines",)
STREAMS = (
    Stream("parameters_passes", records.PASS, "pass"),
    Stream("input_passes", records.PASS, "pass"),
    Stream("sequencer_passes", records.PASS, "pass"),
    Stream("engine_passes", records.ENGINE_PASS, "pass", _EACH, outward=True),
    Stream("requantise_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("row_maximum_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("exponentials_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("reciprocals_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("layer_norm_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("gathered_passes", records.ENGINE_PASS, "pass", _EACH),
    Stream("output_passes", records.PASS, "pass"),
    Stream("stored_tiles", records.TILE, "tile"),
    Stream("stored_indices", records.TILE_INDEX, "tile"),
    Stream("headers", records.HEADER, "header"),
    Stream("row_groups", records.ROW_GROUP, "row_group"),
    Stream("held_awaits", records.HELD_COUNT, "pass"),
    Stream("awaits", records.WRITE_BACK_COUNTS, "pass", _EACH),
    Stream("fetches", records.FETCH, "fetch"),
    Stream("steps", records.STEP, "step", _EACH, outward=True),
    Stream("tiles", records.PLACED_TILE, "placed_tile", _EACH, outward=True),
    Stream("tile_tokens", Bit("bool"), "placed_tile", _EACH, outward=True),
    Stream("tile_credits", Bit("bool"), "placed_tile", _EACH, outward=True),
    Stream("matmul_parameters", records.PARAMETERS, "parameter", _EACH, outward=True),
    Stream("norm_parameters", records.PARAMETERS, "parameter", _EACH, outward=True),
    Stream("sums", records.SUM_ROW, "sums", ("engines", "out_lanes")),
    Stream("sum_credits", Bit("bool"), "sums", _EACH),
    Stream("scores", records.TOKEN_VALUES, "vector", _EACH),
    Stream("held_scores", records.TOKEN_VALUES, "held", _EACH, buffer="scores"),
    Stream("maxima", records.TOKEN_VALUES, "maximum", _EACH),
    Stream("totals", records.TOKEN_TOTALS, "total", _EACH),
    Stream("quotients", records.TOKEN_RECIPROCALS, "reciprocal", _EACH),
    Stream("addends", records.TOKEN_ADDENDS, "vector", _EACH),
    Stream("embedding_values", records.PORT_VALUES, "vector", _EACH, outward=True),
    Stream("requantised", records.WRITE_BACK, "write_back", _EACH),
    Stream("held", records.HELD_WRITE_BACK, "write_back", _EACH, outward=True),
    Stream("probabilities", records.WRITE_BACK, "write_back", _EACH),
    Stream("normalised", records.WRITE_BACK, "write_back", _EACH),
    Stream("requantised_output", records.PORT_VALUES, "vector", _EACH),
    Stream("softmax_output", records.PORT_VALUES, "vector", _EACH),
    Stream("layer_norm_output", records.PORT_VALUES, "vector", _EACH),
    Stream("gathered_output", records.PORT_VALUES, "vector", _EACH, outward=True),
)
