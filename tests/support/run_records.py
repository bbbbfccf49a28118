"""Random run records for property-based tests."""

from __future__ import annotations

from hypothesis import strategies as st

from aebert.records.record import SOURCES, RunRecord

_names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=12)
_counts = st.none() | st.integers(0, 2**63 - 1)
_reals = st.none() | st.floats(1e-9, 1e12)
_digests = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def run_records(draw: st.DrawFn) -> RunRecord:
    """Any valid record; few distinct values for some fields, so that equal records come up."""
    ends = sorted(draw(st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=3)))
    return RunRecord(
        source=draw(st.sampled_from(SOURCES)),
        design=draw(st.sampled_from(("encoder", "kernel")) | _names),
        board=draw(st.none() | _names),
        design_digest=draw(_digests),
        clock_asked_mhz=draw(_reals),
        cycles_min=ends[0],
        cycles=draw(st.none() | st.just(ends[1])),
        cycles_max=ends[2],
        latency_ms=draw(_reals),
        sequence_length=draw(_counts),
        lut=draw(_counts),
        resource_stage="routed",
        note=draw(st.none() | _names),
    )
