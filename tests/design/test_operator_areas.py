"""Prices of operators are those of real csynth reports, and placed counts a share of them."""

from __future__ import annotations

import numpy as np
import pytest

from aebert.design import operator_resources as op
from aebert.design.operator_areas import Share, operator_areas
from aebert.design.operator_resources import ResourceCount
from codegen.manifest import register_map

AREAS = operator_areas()


# Rows of Expression tables, Vitis HLS 2022.1 to 2025.2 on 7 series and UltraScale+; comparisons from 2023.1 on.
@pytest.mark.parametrize(
    ("counted", "report"),
    [
        (op.add(16), 23),
        (op.add(32), 39),
        (op.add(64), 71),
        (op.compare(24), 31),
        (op.compare(64), 71),
        (op.select(32), 32),
        (op.shift(16), 35),
        (op.shift(55), 163),
        (op.shift(64), 182),
        (op.shift(128), 423),
    ],
)
def test_logic_takes_the_placed_share_of_what_a_report_says(counted: ResourceCount, report: int) -> None:
    assert float(counted.lut) == pytest.approx(AREAS.placed_lut.middle * report)


# urem_8ns_5ns, urem_32s_5ns and sdiv_32ns_32ns, urem_64s_5ns; udiv_24s_13ns, which the fit has not seen.
@pytest.mark.parametrize(
    ("dividend", "lut", "ff"), [(8, 106, 189), (32, 1738, 2283), (64, 6607, 8651), (24, 1097, 1459)]
)
def test_a_divider_is_as_large_as_in_reports_whatever_it_divides_by(dividend: int, lut: int, ff: int) -> None:
    for divisor in (5, dividend):
        counted = op.divide(dividend, divisor)
        assert float(counted.lut) == pytest.approx(AREAS.placed_lut.middle * lut, rel=0.18)
        assert float(counted.ff) == pytest.approx(AREAS.placed_ff.middle * ff, rel=0.1)


# FIFOs of Vitis HLS 2022.1.2 to 2023.2: depth, bits, LUT and FF; LUTs from sums of modules, which for LUTRAM say
# between 127 and 181.
@pytest.mark.parametrize(
    ("depth", "bits", "lut", "ff"),
    [
        (2, 8, 15, 20),
        (2, 32, 40, 68),
        (4, 64, 42, 5),
        (16, 32, 26, 7),
        (32, 32, 44, 8),
        (128, 32, 154, 121),
        (256, 32, 70, 92),
        (1024, 128, 177, 287),
        (1024, 512, 557, 1056),
    ],
)
def test_a_fifo_is_as_large_as_in_reports(depth: int, bits: int, lut: int, ff: int) -> None:
    counted = op.fifo(bits, depth)
    assert float(counted.ff) == pytest.approx(ff, rel=0.04, abs=1)
    assert float(counted.lut) == pytest.approx(lut, rel=0.25 if 32 < depth <= 128 else 0.12)


def test_flip_flops_of_a_fifo_follow_its_width_only_where_something_holds_the_data() -> None:
    def per_bit(depth: int) -> float:
        return (float(op.fifo(1024, depth).ff) - float(op.fifo(24, depth).ff)) / 1000

    assert [round(per_bit(depth)) for depth in (2, 3, 32, 33, 128, 129)] == [2, 0, 0, 3, 3, 2]


def test_many_fifos_at_once_are_each_alone() -> None:
    widths, depths = np.array([32, 32, 512, 512]), np.array([2, 16, 64, 1024])
    together = op.fifo(widths, depths)
    for number, (width, depth) in enumerate(zip(widths.tolist(), depths.tolist(), strict=True)):
        alone = op.fifo(width, depth)
        for name in ("lut", "ff", "bram36"):
            assert float(getattr(together, name)[number]) == float(getattr(alone, name))


def test_an_axi_port_takes_the_share_that_kernels_with_little_else_kept() -> None:
    # m_axi of 512 bits in Vitis HLS 2023.2: 2695 LUT, 3521 FF; a kernel of five of them was placed with 7924 and 16234.
    port = op.axi_port(512, 256)
    assert float(port.lut) == pytest.approx(AREAS.placed_axi_lut.middle * 2695, rel=0.01)
    assert float(port.ff) == pytest.approx(AREAS.placed_axi_ff.middle * 3521, rel=0.05)
    assert 5 * float(port.lut) < 7924
    assert 5 * float(port.ff) < 16234


def test_a_control_port_costs_by_words_and_arguments() -> None:
    # s_axi of six addresses in reports: 808 LUT, 456 FF.
    assert AREAS.control.lut_base + 12 * AREAS.control.lut_per_word == 808
    assert AREAS.control.ff_base + 12 * AREAS.control.ff_per_word + 6 * AREAS.control.ff_per_argument == 456
    assert float(op.axi_lite().lut) == pytest.approx(AREAS.placed_axi_lut.middle * (808 + 3 * 64))


def test_the_control_port_that_is_counted_has_the_kernels_arguments() -> None:
    registers = register_map()
    assert len(registers) == op.CONTROL_ARGUMENTS
    assert sum(each.bits for each in registers) == 32 * op.CONTROL_WORDS


def test_a_shift_of_a_width_that_was_not_seen_lies_between_those_that_were() -> None:
    assert AREAS.shift_luts(59) == pytest.approx((163 + 179 + 0) / 2, rel=0.02)
    assert AREAS.shift_luts(np.array([4, 1024])).tolist() == [AREAS.shift[8] / 2, AREAS.shift[512] * 2]


def test_a_share_lies_in_its_interval() -> None:
    for share in (AREAS.placed_lut, AREAS.placed_ff, AREAS.placed_axi_lut, AREAS.placed_axi_ff):
        assert isinstance(share, Share)
        assert 0 < share.low < share.middle < share.high
    # Public kernels that were placed with 0.48 to 1.03 of csynth's LUTs, and 0.51 to 1.14 of its flip-flops.
    assert AREAS.placed_lut.low < 0.48
    assert AREAS.placed_lut.high > 1.03
    assert AREAS.placed_ff.low < 0.51
    assert AREAS.placed_ff.high > 1.14


def test_registers_are_flip_flops_that_hold_values_and_no_others() -> None:
    assert float(op.register(20).registers) == float(op.register(20).ff) == 20
    assert float(op.add(20).registers) == float(op.add(20).ff) > 0
    product = op.multiply(32, 32, 27)
    assert 0 < float(product.registers) < float(product.ff)
    assert float(op.divide(32, 17).registers) == float(op.fifo(32, 2).registers) == 0
    assert float(op.add(20).times(3).registers) == pytest.approx(3 * float(op.add(20).registers))
