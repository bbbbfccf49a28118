"""Names of the C++ as identifiers of SystemVerilog, each given once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_RESERVED = """
alias always and assert assign assume automatic before begin bind bins binsof bit break buf byte case cell chandle
class clk clocking config const constraint context continue cover cross deassign default defparam design disable
dist do done edge else end enum event expect export extends extern final first_match for force foreach forever fork
function generate genvar go if iff ifnone import incdir include initial inout input inside instance int integer
interface intersect join large liblist library local localparam logic longint macromodule matches medium modport
module nand negedge new nor not null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pure rand randc ref reg release repeat reset return scalared sequence
shortint signed small solve specify start state static string strong strong0 strong1 struct super supply0 supply1
table tagged task this throughout time timeunit tran tri type typedef union unique unsigned use valid var vectored
virtual void wait wand weak weak0 weak1 while wire with within wor xnor xor
"""
_KEYWORDS = frozenset(_RESERVED.split())
_OTHER = re.compile(r"\W+")
_MOST = 60


def identifier(name: str) -> str:
    """``name`` of LLVM or C++ (``%add.i12``) with what identifiers may hold."""
    plain = _OTHER.sub("_", name.lstrip("%@").strip('"')).strip("_")[:_MOST]
    if not plain or plain[0].isdigit():
        plain = f"v{plain}"
    return f"{plain}_" if plain in _KEYWORDS else plain


@dataclass
class Names:
    """The identifiers of one module."""

    taken: set[str] = field(default_factory=set)

    def new(self, name: str) -> str:
        """An identifier like ``name`` that nothing has yet."""
        plain = identifier(name)
        found, number = plain, 1
        while found.lower() in self.taken:
            number += 1
            found = f"{plain}_n{number}"
        self.taken.add(found.lower())
        return found
