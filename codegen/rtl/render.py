"""The records of a kernel's modules -> SystemVerilog."""

from __future__ import annotations

import textwrap

from codegen.render import environment
from codegen.rtl.texts import ProcessText

_WIDTH = 116


def range_of(bits: int) -> str:
    """Of a declaration; one bit has none."""
    return "" if bits == 1 else f"[{bits - 1}:0] "


def folded(text: str) -> str:
    """``text`` over several lines where it is long."""
    if len(text) <= _WIDTH:
        return text
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n      ".join(lines)


def render_process(process: ProcessText) -> str:
    values = {"process": process, "range_of": range_of, "folded": folded}
    return environment().get_template("rtl/process.sv.j2").render(values)
