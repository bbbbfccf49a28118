"""What the C++ templates are told of the kernel's one description (aebert.design): text, ready to be put in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag
from typing import Any

from aebert.design.cpp_records import commented, constant
from aebert.design.data_widths import (
    ARITHMETIC_WIDTHS,
    LARGEST_ADDEND,
    MULTIPLIER_WIDTHS,
    ROOT_BITS,
    STREAM_WIDTHS,
    DataWidth,
)
from aebert.design.hardware_config import (
    ANSWER_ITERATIONS,
    MAX_OPERAND_ROWS,
    PORT_LATENCY_CYCLES,
    SETTLE_ITERATIONS,
    HardwareConfig,
)
from aebert.design.kernel_records import (
    ENGINE_PASS,
    PARAMETER_BYTES,
    PARAMETERS,
    PASS,
    PASS_BYTES,
    PASS_FLAG_NOTES,
    PASS_KIND_NOTES,
    RECORDS,
    Buffer,
    PassFlag,
    PassKind,
)
from aebert.design.kernel_streams import STREAMS, stream_depths
from aebert.design.size_arrays import Sizes
from aebert.design.widths import widths_of
from aebert.numerics import integers


def _enumerators(kind: type[IntEnum] | type[IntFlag], notes: Mapping[Any, str]) -> tuple[str, ...]:
    return commented((f"{constant(str(each.name).lower())} = {each.value},", notes.get(each, "")) for each in kind)


def _width_constants(widths: Iterable[DataWidth]) -> tuple[str, ...]:
    return commented((f"constexpr int {constant(each.name, 'Bits')} = {each.bits};", each.note) for each in widths)


def described(config: HardwareConfig) -> dict[str, object]:
    """What the C++ is told of the kernel's description: records, streams, widths and limits."""
    return {
        "constant": constant,
        "records": RECORDS,
        "pass_fields": PASS.placed,
        "engine_pass_fields": ENGINE_PASS.fields,
        "parameter_fields": PARAMETERS.placed,
        "pass_kinds": _enumerators(PassKind, PASS_KIND_NOTES),
        "pass_flags": _enumerators(PassFlag, PASS_FLAG_NOTES),
        "buffers": _enumerators(Buffer, {}),
        "pass_bytes": PASS_BYTES,
        "parameter_bytes": PARAMETER_BYTES,
        "streams": STREAMS,
        "depths": {name: int(depth[0]) for name, depth in stream_depths(Sizes.of(config)).items()},
        "widths": vars(widths_of(config)),
        "stream_widths": _width_constants(STREAM_WIDTHS),
        "multiplier_widths": _width_constants(MULTIPLIER_WIDTHS),
        "arithmetic_widths": _width_constants(ARITHMETIC_WIDTHS),
        "most_operand_rows": MAX_OPERAND_ROWS,
        "settle": SETTLE_ITERATIONS,
        "answer_iterations": ANSWER_ITERATIONS,
        "port_latency": PORT_LATENCY_CYCLES,
        "limits": {
            "tokens": integers.MAX_TOKENS,
            "hidden": integers.MAX_HIDDEN,
            "int8": integers.INT8_MAX,
            "uint8": integers.UINT8_MAX,
            "int16": integers.INT16_MAX,
            "addend": LARGEST_ADDEND,
            "reciprocal_shift": integers.RECIPROCAL_BITS,
            "context_shift": integers.CONTEXT_SHIFT,
            "root_bits": ROOT_BITS,
            "norm_fraction_bits": integers.NORM_FRACTION_BITS,
            "gelu_index_bits": integers.GELU_INDEX_BITS,
            "gelu_delta_bits": integers.GELU_DELTA_BITS,
            "exp_steps_per_nat": integers.EXP_STEPS_PER_NAT,
        },
    }
