"""Random legal hardware configs."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from aebert.design.hardware_config import HardwareConfig
from aebert.support.errors import AebertError


@st.composite
def hardware_configs(draw: st.DrawFn) -> HardwareConfig:
    tokens = draw(st.sampled_from((4, 8, 16, 32, 64, 128)))
    in_lanes = draw(st.sampled_from([n for n in (4, 8, 16, 32) if n <= tokens]))
    out_lanes = draw(st.sampled_from([n for n in (1, 2, 4, 8) if n <= in_lanes]))
    groups = draw(st.integers(1, max(1, 256 // tokens)))
    try:
        return HardwareConfig(
            tokens=tokens,
            out_lanes=out_lanes,
            in_lanes=in_lanes,
            max_hidden=32 * draw(st.integers(1, 32)),
            max_ffn=32 * draw(st.integers(1, 64)),
            max_length=groups * tokens,
            max_groups=groups + draw(st.integers(0, 4)),
            word_bytes=draw(st.sampled_from((16, 32, 64))),
            tile_fifo=draw(st.sampled_from((32, 128, 512))),
            sums_fifo=draw(st.sampled_from((4, 16, 32))),
            row_slices=draw(st.sampled_from((1, 2, 4))),
            engines=draw(st.sampled_from([n for n in (1, 2, 4, 8) if tokens // n >= max(in_lanes, 2)])),
            lut_lanes=draw(st.one_of(st.just(0), st.integers(0, in_lanes - 1))),
        )
    except AebertError:
        assume(False)
        raise
