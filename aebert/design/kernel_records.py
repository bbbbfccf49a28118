"""The records that the kernel's processes exchange, and those that lie in memory. The C++ of ``types.h`` and
``unpack.h``, the dtypes of codegen.memory_image and the widths of aebert.design.fifos are made from these."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag

from aebert.design.cpp_records import Bit, Field, Integer, MemoryRecord, Narrow, Record

PASS_BYTES = 64
PARAMETER_BYTES = 16
HEADER_COUNT_BYTES = 2  # of a row group's tile count


class PassKind(IntEnum):
    """What a pass does; what each does is in `PASS_KIND_NOTES`."""

    LOAD = 0
    PROJECT = 1
    SCORES = 2
    CONTEXT = 3
    GELU = 4
    RESIDUAL = 5
    END = 6


class PassFlag(IntFlag):
    """Bits of a pass's ``flags``; see `PASS_FLAG_NOTES`."""

    STORE = 1
    UNSIGNED_OPERANDS = 2


class Buffer(IntEnum):
    """Which of the engine's buffers a result goes back to."""

    OPERANDS = 0
    KEYS = 1
    VALUES = 2


PASS_KIND_NOTES: Mapping[PassKind, str] = {
    PassKind.LOAD: "residual stream from memory; int8 operands from it",
    PassKind.PROJECT: "matmul -> int8 (query, key, value)",
    PassKind.SCORES: "query x keys of one head -> softmax -> probabilities",
    PassKind.CONTEXT: "probabilities x values of one head -> int8",
    PassKind.GELU: "matmul -> GELU -> uint8",
    PassKind.RESIDUAL: "matmul -> add to the residual stream -> LayerNorm -> int8",
    PassKind.END: "waits for the last write-backs, so that no FIFO is left filled",
}
PASS_FLAG_NOTES: Mapping[PassFlag, str] = {
    PassFlag.STORE: "results also go to the output port",
    PassFlag.UNSIGNED_OPERANDS: "the operands are uint8",
}

INT8, INT16, INT32 = Integer(8, signed=True), Integer(16, signed=True), Integer(32, signed=True)
UINT8, UINT16, UINT32 = Integer(8, signed=False), Integer(16, signed=False), Integer(32, signed=False)
FLAG = Bit("flag_t")
GROUP, TILES, OPERAND_ROW, HELD_ROW, BLOCK = map(Narrow, ("group", "tile", "operand_row", "held_row", "block"))

PASS = MemoryRecord(
    "Pass",
    (
        Field("kind", INT16),
        Field("flags", INT16),
        Field("first_group", INT16, "token groups that take part"),
        Field("group_count", INT16),
        Field("length", INT16, "tokens of the sequence: keys from here on are masked"),
        Field("buffer", INT16, "where the result goes"),
        Field("outputs", INT32, "result channels (keys, for scores), a multiple of kOutLanes"),
        Field("tiles", INT32, "attention: tiles per row group. Else the counts come with the indices."),
        Field("source", INT32, "address of the operands within a token group"),
        Field("weight_base", INT32, "attention: address of the head within keys or values"),
        Field("destination", INT32, "address of result channel 0 within a token group of the buffer"),
        Field("await_requantise", INT32, "write-backs of each process that must have arrived before the pass starts"),
        Field("await_softmax", INT32),
        Field("await_layer_norm", INT32),
        Field("await_held", INT32, "the same of keys and values"),
        Field("scalar", UINT32, "scores: multiplier; GELU: zero point; LayerNorm: epsilon's upper half"),
        Field("second_scalar", UINT32, "scores: shift; GELU: fraction bits; LayerNorm: shift"),
        Field("third_scalar", UINT32, "LayerNorm: epsilon's lower half"),
        Field("parameter_word", INT32, "where the pass's parameters begin in memory"),
    ),
    f"One step of the program, {PASS_BYTES} bytes in memory.",
    bytes=PASS_BYTES,
    grain=2,
)
_OF_PORTS_AND_SEQUENCER = ("tiles", "source", "weight_base", "await_held", "parameter_word")
ENGINE_PASS = Record(
    "EnginePass",
    tuple(field for field in PASS.fields if field.name not in _OF_PORTS_AND_SEQUENCER),
    "Of a pass, what goes to an engine and the units behind it.",
)
PARAMETERS = MemoryRecord(
    "Parameters",
    (
        Field("bias_or_gain", INT32),
        Field("offset", INT32),
        Field("multiplier", UINT16),
        Field("second_multiplier", UINT16),
        Field("shift", UINT8),
        Field("second_shift", UINT8),
    ),
    "Per-channel constants: of a matmul's requantisation, or of a LayerNorm.",
    bytes=PARAMETER_BYTES,
)
TILE = Record("Tile", (Field("weight", INT8, extents=("out_lanes", "in_lanes")),))
TILE_INDEX = Record("TileIndex", (Field("row", Narrow("tile_row"), extents=("in_lanes",)),))
PLACED_TILE = Record(
    "PlacedTile",
    (Field("tile", TILE), Field("index", TILE_INDEX)),
    "Weights, and where the operands lie that they meet: each bank's row behind the one that a step names.",
)
HEADER = Record(
    "Header",
    (Field("count", Integer(8 * HEADER_COUNT_BYTES, signed=False), extents=("header_fields",)),),
    "Tile counts of up to kHeaderCounts row groups, ahead of their indices in memory; their sum stands first.",
)
WRITE_BACK_COUNTS = Record(
    "WriteBackCounts",
    (Field("requantise", UINT32), Field("softmax", UINT32), Field("layer_norm", UINT32)),
    "Write-backs to an engine's operands by each of its processes, counted from the start of the launch.",
)
HELD_COUNT = Record(
    "HeldCount",
    (Field("requantise", UINT32),),
    "Write-backs of keys and values by each engine's requantiser.",
)
TILE_SOURCE = Record(
    "TileSource",
    (
        Field("keys", FLAG, "weights are keys"),
        Field("values", FLAG, "weights are values; neither: tiles from memory"),
    ),
    "Where a pass's weights come from.",
)
OPERAND_MODE = Record(
    "OperandMode",
    (
        Field("is_unsigned", FLAG, "operands are uint8"),
        Field("many_groups", FLAG, "more than kNearGroups of them"),
    ),
    "How a pass's operands are read.",
)
ROW_GROUP = Record(
    "RowGroup",
    (
        Field("source", TILE_SOURCE),
        Field("mode", OPERAND_MODE),
        Field("begins", FLAG, "the first one of its pass, which waits for write-backs"),
        Field("ends", FLAG, "the last one of the launch"),
        Field("single_tile", FLAG),
        Field("works", FLAG, "false: a pass without a matmul"),
        Field("single_group", FLAG),
        Field("more_tiles", TILES, "after the first one"),
        Field("more_groups", GROUP),
        Field("row", OPERAND_ROW, "of the operands: the first token group's"),
        Field("held_row", HELD_ROW, "of keys or values: the first tile's"),
        Field("block", BLOCK, "of lanes in that row"),
    ),
    "kOutLanes results, as the sequencer walks them: tiles, and for each tile all token groups of the pass.",
)
FETCH = Record(
    "Fetch",
    (
        Field("source", TILE_SOURCE),
        Field("begins", FLAG),
        Field("works", FLAG),
        Field("ends", FLAG),
        Field("held_row", HELD_ROW),
        Field("block", BLOCK),
    ),
    "Which tile the engines are sent next.",
)
STEP = Record(
    "Step",
    (
        Field("mode", OPERAND_MODE),
        Field("begins", FLAG),
        Field("works", FLAG),
        Field("ends", FLAG),
        Field("fetches", FLAG, "the next tile is needed; it stays for all token groups"),
        Field("first", FLAG, "of its row group: the sum begins"),
        Field("completes", FLAG, "the last one of its row group: the sum leaves"),
        Field("group", GROUP, "counted within the pass"),
        Field("row", OPERAND_ROW),
    ),
    "What an engine does in one cycle.",
)
OPERAND_ROW_RECORD = Record(
    "OperandRow",
    (Field("lane", INT8, extents=("tokens",)),),
    "What the on-chip memories hold: one word is one channel of an engine's kTokens tokens.",
)
SUM_ROW = Record("SumRow", (Field("lane", INT32, extents=("tokens",)),))
PORT_VALUES = Record(
    "PortValues",
    (Field("lane", INT16, extents=("tokens",)),),
    "One channel (or key) of an engine's kTokens tokens, as memory has them.",
)
OPERAND_SLICE = Record(
    "OperandSlice",
    (Field("lane", INT8, extents=("unit_tokens",)),),
    "A slice of a row of tokens, at the widths it has along the way.",
)
TOKEN_VALUES = Record("TokenValues", (Field("lane", INT16, extents=("unit_tokens",)),))
TOKEN_ADDENDS = Record("TokenAddends", (Field("lane", Narrow("addend", signed=True), extents=("unit_tokens",)),))
TOKEN_TOTALS = Record("TokenTotals", (Field("lane", Narrow("total"), extents=("unit_tokens",)),))
TOKEN_RECIPROCALS = Record("TokenReciprocals", (Field("lane", Narrow("reciprocal"), extents=("unit_tokens",)),))
WRITE_BACK = Record(
    "WriteBack",
    (
        Field("row", OPERAND_ROW_RECORD),
        Field("address", Narrow("address")),
        Field("bank", Narrow("bank")),
    ),
    "A row for the operands of an engine.",
)
HELD_WRITE_BACK = Record(
    "HeldWriteBack",
    (
        Field("row", OPERAND_ROW_RECORD),
        Field("address", Narrow("address")),
        Field("bank", Narrow("bank")),
        Field("is_value", FLAG, "of the values, else of the keys"),
    ),
    "An engine's share of a row of keys or values.",
)

# In the order of types.h.
RECORDS: tuple[Record, ...] = (
    *(
        PASS,
        ENGINE_PASS,
        TILE,
        TILE_INDEX,
        PLACED_TILE,
        WRITE_BACK_COUNTS,
        HELD_COUNT,
        TILE_SOURCE,
        OPERAND_MODE,
        ROW_GROUP,
        FETCH,
    ),
    *(STEP, HEADER, PARAMETERS, OPERAND_ROW_RECORD, SUM_ROW, PORT_VALUES, OPERAND_SLICE, TOKEN_VALUES, TOKEN_ADDENDS),
    *(TOKEN_TOTALS, TOKEN_RECIPROCALS, WRITE_BACK, HELD_WRITE_BACK),
)
