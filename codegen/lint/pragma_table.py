"""The pragmas of Vitis HLS and their options, as UG1399 (2022.2 to 2024.2, "HLS Pragmas") documents them.

Only the current spelling with named options is accepted: the positional one of older releases is not checked by every
release, so a misspelt option would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["name", "integer", "number", "flag", "choice", "list"]
Place = Literal["function", "loop", "function or loop"]


@dataclass(frozen=True)
class Option:
    """What may stand after ``=``. ``name``: a variable or port; ``list``: names with commas; ``flag``: no value."""

    kind: Kind
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PragmaForm:
    """One pragma. ``variable_option`` holds the name of something the function must declare."""

    options: Mapping[str, Option]
    required: frozenset[str]
    place: Place
    variable_option: str | None = None


NAME, INTEGER, NUMBER, FLAG, LIST = (Option(kind) for kind in ("name", "integer", "number", "flag", "list"))
BOOLEAN = Option("choice", frozenset({"true", "false"}))


def _one_of(*values: str) -> Option:
    return Option("choice", frozenset(values))


def _form(
    place: Place, options: Mapping[str, Option], required: tuple[str, ...] = (), variable: str | None = None
) -> PragmaForm:
    return PragmaForm(MappingProxyType(dict(options)), frozenset(required), place, variable)


_ARRAY_TYPES = _one_of("cyclic", "block", "complete")
_RAM_TYPES = _one_of("fifo", "ram_1p", "ram_1wnr", "ram_2p", "ram_s2p", "ram_t2p", "rom_1p", "rom_2p", "rom_np")
_MEMORY_IMPLEMENTATIONS = _one_of("auto", "bram", "bram_ecc", "lutram", "uram", "uram_ecc", "srl", "memory")
_MODES = _one_of(
    "ap_none", "ap_stable", "ap_vld", "ap_ack", "ap_hs", "ap_ovld", "ap_memory", "bram", "ap_fifo", "axis", "m_axi",
    "s_axilite", "ap_ctrl_none", "ap_ctrl_hs", "ap_ctrl_chain",
)  # fmt: skip
_OPERATIONS = _one_of(
    "mul", "add", "sub", "fadd", "fsub", "fdiv", "fexp", "flog", "fmul", "frsqrt", "frecip", "fsqrt", "dadd", "dsub",
    "ddiv", "dexp", "dlog", "dmul", "drsqrt", "drecip", "dsqrt", "hadd", "hsub", "hdiv", "hmul", "hsqrt", "facc",
    "fmacc", "fmadd",
)  # fmt: skip

PRAGMAS: Mapping[str, PragmaForm] = MappingProxyType(
    {
        "AGGREGATE": _form(
            "function",
            {"variable": NAME, "compact": _one_of("bit", "byte", "none", "auto")},
            ("variable",),
            "variable",
        ),
        "ALIAS": _form("function", {"ports": LIST, "distance": INTEGER, "offset": LIST}, ("ports",)),
        "ALLOCATION": _form(
            "function or loop",
            {"function": FLAG, "operation": FLAG, "instances": LIST, "limit": INTEGER},
            ("instances", "limit"),
        ),
        "ARRAY_PARTITION": _form(
            "function",
            {"variable": NAME, "type": _ARRAY_TYPES, "factor": INTEGER, "dim": INTEGER, "off": BOOLEAN},
            ("variable", "type"),
            "variable",
        ),
        "ARRAY_RESHAPE": _form(
            "function",
            {
                "variable": NAME,
                "type": _ARRAY_TYPES,
                "factor": INTEGER,
                "dim": INTEGER,
                "object": FLAG,
                "off": BOOLEAN,
            },
            ("variable", "type"),
            "variable",
        ),
        "ARRAY_STENCIL": _form("loop", {"variable": NAME, "off": FLAG}, ("variable",), "variable"),
        "BIND_OP": _form(
            "function",
            {
                "variable": NAME,
                "op": _OPERATIONS,
                "impl": _one_of("dsp", "fabric", "meddsp", "fulldsp", "maxdsp", "primitivedsp", "auto", "none"),
                "latency": INTEGER,
            },
            ("variable", "op"),
            "variable",
        ),
        "BIND_STORAGE": _form(
            "function",
            {"variable": NAME, "type": _RAM_TYPES, "impl": _MEMORY_IMPLEMENTATIONS, "latency": INTEGER},
            ("variable", "type"),
            "variable",
        ),
        "CACHE": _form(
            "function",
            {"port": NAME, "lines": INTEGER, "depth": INTEGER, "ways": INTEGER, "users": INTEGER},
            ("port",),
            "port",
        ),
        "DATAFLOW": _form("function or loop", {"disable_start_propagation": FLAG}),
        "DEPENDENCE": _form(
            "function or loop",
            {
                "variable": NAME,
                "class": _one_of("array", "pointer"),
                "type": _one_of("inter", "intra"),
                "direction": _one_of("RAW", "WAR", "WAW"),
                "distance": INTEGER,
                "dependent": BOOLEAN,
            },
            ("type", "dependent"),
            "variable",
        ),
        "DISAGGREGATE": _form("function", {"variable": NAME}, ("variable",), "variable"),
        "EXPRESSION_BALANCE": _form("function or loop", {"off": FLAG}),
        "FUNCTION_INSTANTIATE": _form("function", {"variable": NAME}, ("variable",), "variable"),
        "INLINE": _form("function", {"off": FLAG, "recursive": FLAG}),
        "INTERFACE": _form(
            "function",
            {
                "mode": _MODES,
                "port": NAME,
                "bundle": NAME,
                "register": FLAG,
                "register_mode": _one_of("both", "forward", "reverse", "off"),
                "depth": INTEGER,
                "offset": _one_of("off", "direct", "slave"),
                "latency": INTEGER,
                "clock": NAME,
                "name": NAME,
                "storage_type": _RAM_TYPES,
                "storage_impl": _MEMORY_IMPLEMENTATIONS,
                "direct_io": BOOLEAN,
                "interrupt": INTEGER,
                "channel": NAME,
                "num_read_outstanding": INTEGER,
                "num_write_outstanding": INTEGER,
                "max_read_burst_length": INTEGER,
                "max_write_burst_length": INTEGER,
                "max_widen_bitwidth": INTEGER,
            },
            ("mode", "port"),
            "port",
        ),
        "LATENCY": _form("function or loop", {"min": INTEGER, "max": INTEGER}),
        "LOOP_FLATTEN": _form("loop", {"off": FLAG}),
        "LOOP_MERGE": _form("function or loop", {"force": FLAG}),
        "LOOP_TRIPCOUNT": _form("loop", {"min": INTEGER, "max": INTEGER, "avg": INTEGER}, ("max",)),
        "OCCURRENCE": _form("function or loop", {"cycle": INTEGER}, ("cycle",)),
        "PERFORMANCE": _form(
            "function or loop",
            {"target_ti": NUMBER, "target_tl": NUMBER, "unit": _one_of("sec", "cycle")},
        ),
        "PIPELINE": _form(
            "function or loop",
            {"II": INTEGER, "off": FLAG, "rewind": FLAG, "style": _one_of("stp", "frp", "flp")},
        ),
        "PROTOCOL": _form("function or loop", {"mode": _one_of("floating", "fixed")}),
        "RESET": _form("function", {"variable": NAME, "off": BOOLEAN}, ("variable",), "variable"),
        "STABLE": _form("function", {"variable": NAME}, ("variable",), "variable"),
        "STREAM": _form(
            "function",
            {
                "variable": NAME,
                "type": _one_of("fifo", "pipo", "shared", "unsync"),
                "depth": INTEGER,
                "off": BOOLEAN,
            },
            ("variable",),
            "variable",
        ),
        "TOP": _form("function", {"name": NAME}),
        "UNROLL": _form("loop", {"factor": INTEGER, "skip_exit_check": FLAG, "off": BOOLEAN}),
    }
)
