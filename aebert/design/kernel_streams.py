"""The streams between the kernel's processes, their depths, and the processes and ports that they join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aebert.design import kernel_records as records
from aebert.design.cpp_records import Bit, Record
from aebert.design.size_arrays import Ints, Sizes

PORTS = ("pass_table", "weights", "indices", "parameters", "embeddings", "results")
PROCESSES = (
    *("read_program", "read_weights", "read_indices", "list_row_groups", "sequence", "read_parameters", "read_input"),
    *("engine", "requantise", "row_maximum", "exponentials", "reciprocals", "layer_norm", "write_output"),
)

PASS_DEPTH = 4
HEADER_DEPTH = 2
ROW_GROUP_DEPTH = 32
STEP_DEPTH = 16
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
    """``depth`` names one of `stream_depths`; ``per`` the extent of an array of streams; ``buffer`` the on-chip buffer
    (aebert.design.buffers) as which a deep one is bound and counted."""

    name: str
    element: Record | Bit
    depth: str
    per: str = ""
    buffer: str = ""


STREAMS = (
    Stream("parameters_passes", records.PASS, "pass"),
    Stream("input_passes", records.PASS, "pass"),
    Stream("sequencer_passes", records.PASS, "pass"),
    Stream("requantise_passes", records.PASS, "pass"),
    Stream("row_maximum_passes", records.PASS, "pass"),
    Stream("exponentials_passes", records.PASS, "pass"),
    Stream("reciprocals_passes", records.PASS, "pass"),
    Stream("layer_norm_passes", records.PASS, "pass"),
    Stream("output_passes", records.PASS, "pass"),
    Stream("tiles", records.TILE, "tile"),
    Stream("tile_indices", records.TILE_INDEX, "tile"),
    Stream("headers", records.HEADER, "header"),
    Stream("row_groups", records.ROW_GROUP, "row_group"),
    Stream("awaits", records.WRITE_BACK_COUNTS, "pass"),
    Stream("steps", records.STEP, "step"),
    Stream("matmul_parameters", records.PARAMETERS, "parameter"),
    Stream("norm_parameters", records.PARAMETERS, "parameter"),
    Stream("sums", records.SUM_ROW, "sums", per="out_lanes"),
    Stream("credits", Bit("bool"), "sums"),
    Stream("scores", records.TOKEN_VALUES, "vector"),
    Stream("held_scores", records.TOKEN_VALUES, "held", buffer="scores"),
    Stream("maxima", records.TOKEN_VALUES, "maximum"),
    Stream("totals", records.TOKEN_TOTALS, "total"),
    Stream("quotients", records.TOKEN_RECIPROCALS, "reciprocal"),
    Stream("addends", records.TOKEN_ADDENDS, "vector"),
    Stream("embedding_values", records.PORT_VALUES, "vector"),
    Stream("requantised", records.WRITE_BACK, "write_back"),
    Stream("probabilities", records.WRITE_BACK, "write_back"),
    Stream("normalised", records.WRITE_BACK, "write_back"),
    Stream("requantised_output", records.PORT_VALUES, "vector"),
    Stream("softmax_output", records.PORT_VALUES, "vector"),
    Stream("layer_norm_output", records.PORT_VALUES, "vector"),
)
