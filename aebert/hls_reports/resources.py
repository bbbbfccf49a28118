"""Provenance and resource counts, shared by all reports. Units are in the field names.

Two kinds of block RAM counts exist and never mix: HLS counts ``bram_18k`` (RAMB18 halves), Vivado counts
``bram_36k`` tiles, where a lone RAMB18 is half a tile. One tile is two ``bram_18k``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ReportSource:
    """Where a report came from. ``top`` is the function, design or kernel the file is about."""

    name: str
    sha256: str
    tool: str | None = None
    tool_version: str | None = None
    part: str | None = None
    top: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class HlsResources:
    """Resources as HLS counts them (None: not given)."""

    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram_18k: int | None = None
    uram: int | None = None


@dataclass(frozen=True, slots=True)
class SiteUsage:
    """Resources as Vivado counts them after synthesis, placement or routing (None: not given)."""

    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram_36k: float | None = None
    uram: int | None = None

    @property
    def bram_18k(self) -> int | None:
        """The same block RAM in HLS's unit: 2 per RAMB36 tile."""
        return None if self.bram_36k is None else round(2 * self.bram_36k)


DesignState = Literal["synthesised", "placed", "routed"]
