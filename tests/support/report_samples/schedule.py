"""A schedule report of the shape that Vitis HLS 2022 prints, written by hand: a counter, a FIFO read, a running sum."""

HEADING = """

================================================================
== Vitis HLS Report for 'sum_Pipeline_Values'
================================================================
* Date:           Mon Jan  1 00:00:00 2024

* Version:        2022.2 (Build 1 on Jan 1 2022)
* Project:        sum
* Solution:       hls (Vivado IP Flow Target)
* Product family: virtexuplus
* Target device:  xcu280-fsvh2892-2L-e


================================================================
== Performance Estimates
================================================================
+ Timing:
    * Summary:
    +--------+---------+----------+------------+
    |  Clock |  Target | Estimated| Uncertainty|
    +--------+---------+----------+------------+
    |ap_clk  |  4.00 ns|  2.300 ns|     1.00 ns|
    +--------+---------+----------+------------+

+ Latency:
    * Summary:
    +---------+---------+-----------+-----------+-----+-----+---------+
    |  Latency (cycles) |   Latency (absolute)  |  Interval | Pipeline|
    |   min   |   max   |    min    |    max    | min | max |   Type  |
    +---------+---------+-----------+-----------+-----+-----+---------+
    |       66|       66|  0.264 us |  0.264 us |   66|   66|       no|
    +---------+---------+-----------+-----------+-----+-----+---------+

    + Detail:
        * Instance:
        N/A

        * Loop:
        +-----------+---------+---------+----------+-----------+-----------+------+----------+
        |           |  Latency (cycles) | Iteration|  Initiation Interval  | Trip |          |
        | Loop Name |   min   |   max   |  Latency |  achieved |   target  | Count| Pipelined|
        +-----------+---------+---------+----------+-----------+-----------+------+----------+
        |- Values   |       64|       64|         2|          1|          1|    64|       yes|
        +-----------+---------+---------+----------+-----------+-----------+------+----------+

============================================================
+ Verbose Summary: Schedule
============================================================
* Number of FSM states : 2
* Pipeline : 1
  Pipeline-0 : II = 1, D = 2, States = { 1 2 }
* Dataflow Pipeline: 0

* FSM state transitions:
1 --> 2
2 -->

* FSM state operations:

"""


def step(state: int, number: int, delay: str, text: str, opcode: str, predicate: str = "true", core: str = "") -> str:
    name = text.partition(" = ")[0].lstrip("%") if " = " in text else ""
    named = f" '{name}'" if name else ""
    return (
        f'ST_{state} : Operation {number} [1/1] ({delay}ns)   --->   "{text}" [sum.cpp:{number}]   --->   '
        f"Operation {number} '{opcode}'{named} <Predicate = {predicate}> <Delay = {delay}>{core}"
    )


_FIFO = (
    " <CoreInst = \"FIFO\">   --->   Core 77 'FIFO' <Latency = 0> <II = 1> <Delay = 1.42> <Storage> "
    "<Opcode : 'read' 'write' 'nbread' 'nbwrite'> <Ports = 0> <Width = 32> <Depth = 2> <FIFO>"
)


def _counter(number: int) -> tuple[str, ...]:
    """The steps from ``number`` on that count to 64 and leave the loop."""
    return (
        step(1, number, "0.00", "%br_ln1 = br void %for.inc", "br"),
        step(1, number + 1, "0.00", "%i_1 = load i7 %i", "load"),
        step(1, number + 2, "0.59", "%icmp_ln2 = icmp_eq  i7 %i_1, i7 64", "icmp"),
        step(1, number + 3, "0.70", "%add_ln2 = add i7 %i_1, i7 1", "add"),
        step(1, number + 4, "0.00", "%br_ln2 = br i1 %icmp_ln2, void %for.inc.split, void %for.end.exitStub", "br"),
        step(1, number + 5, "0.38", "%store_ln2 = store i7 %add_ln2, i7 %i", "store", "(!icmp_ln2)"),
        step(1, 40, "0.00", "%ret_ln0 = ret", "ret", "(icmp_ln2)"),
    )


REPORT = HEADING + "\n".join(
    (
        "State 1 <SV = 0> <Delay = 1.24>",
        step(1, 1, "0.00", "%i = alloca i32 1", "alloca"),
        step(1, 2, "0.38", "%store_ln0 = store i7 0, i7 %i", "store"),
        *_counter(3),
        "",
        "State 2 <SV = 1> <Delay = 2.30>",
        step(2, 9, "1.42", "%v = read i32 @_ssdm_op_Read.ap_fifo.volatile.i32P0A, i32 %values", "read", core=_FIFO),
        step(2, 10, "0.88", "%total = add i32 %v, i32 7", "add"),
        step(2, 11, "0.00", "%br_ln3 = br void %for.inc", "br"),
        "",
    )
)

# The same loop with a second way out: it ends where the value that was read is zero.
REPORT_WITH_BREAK = REPORT.replace(
    step(2, 11, "0.00", "%br_ln3 = br void %for.inc", "br"),
    "\n".join(
        (
            step(2, 13, "0.67", "%icmp_ln4 = icmp_eq  i32 %v, i32 0", "icmp"),
            step(2, 14, "0.00", "%br_ln4 = br i1 %icmp_ln4, void %for.cond, void %for.break.exitStub", "br"),
            step(2, 15, "0.88", "%less = sub i32 %total, i32 1", "sub", "(!icmp_ln2 & !icmp_ln4)"),
            step(2, 16, "0.00", "%chosen = phi i32 %less, void %for.cond, i32 %v, void %for.inc", "phi", "(!icmp_ln2)"),
            step(2, 11, "0.00", "%br_ln3 = br void %for.inc", "br", "(!icmp_ln2 & !icmp_ln4)"),
        )
    ),
)

_RAM = (
    " <CoreInst = \"RAM\">   --->   Core 78 'RAM' <Latency = 1> <II = 1> <Delay = 1.23> <Storage> "
    "<Opcode : 'load' 'store'> <Ports = 2> <Width = 32> <Depth = 128> <RAM>"
)

# histogram[i] += 1, where Vitis keeps the last sum and its address in registers (reuse_reg) for the next iteration.
REPORT_WITH_REUSE = (HEADING + "\n").replace("D = 2, States = { 1 2 }", "D = 3, States = { 1 2 3 }") + "\n".join(
    (
        "State 1 <SV = 0> <Delay = 1.24>",
        step(1, 1, "0.00", "%i = alloca i32 1", "alloca"),
        step(1, 2, "0.00", "%reuse_addr_reg = alloca i32 1", "alloca"),
        step(1, 3, "0.00", "%reuse_reg = alloca i32 1", "alloca"),
        step(1, 4, "0.38", "%store_ln0 = store i32 0, i32 %reuse_reg", "store"),
        step(1, 5, "0.38", "%store_ln1 = store i64 18446744073709551615, i64 %reuse_addr_reg", "store"),
        step(1, 6, "0.38", "%store_ln3 = store i7 0, i7 %i", "store"),
        *_counter(7),
        "",
        "State 2 <SV = 1> <Delay = 1.44>",
        step(2, 14, "0.00", "%place = zext i7 %i_1", "zext"),
        step(2, 15, "0.00", "%address = getelementptr i32 %histogram, i64 0, i64 %place", "getelementptr"),
        step(2, 16, "0.00", "%reuse_addr_reg_load = load i64 %reuse_addr_reg", "load"),
        step(2, 17, "1.06", "%addr_cmp = icmp_eq  i64 %reuse_addr_reg_load, i64 %place", "icmp"),
        step(2, 18, "1.23", "%kept = load i7 %address", "load", core=_RAM).replace("[1/1]", "[2/2]"),
        step(2, 19, "0.38", "%store_ln4 = store i64 %place, i64 %reuse_addr_reg", "store"),
        "",
        "State 3 <SV = 2> <Delay = 2.48>",
        step(3, 18, "1.23", "%kept = load i7 %address", "load", core=_RAM).replace("[1/1]", "[1/2]"),
        step(3, 20, "0.00", "%reuse_reg_load = load i32 %reuse_reg", "load"),
        step(3, 21, "0.22", "%reuse_select = select i1 %addr_cmp, i32 %reuse_reg_load, i32 %kept", "select"),
        step(3, 22, "0.88", "%sum = add i32 %reuse_select, i32 1", "add"),
        step(3, 23, "0.10", "%store_ln5 = store i32 %sum, i7 %address", "store", core=_RAM),
        step(3, 24, "0.38", "%store_ln6 = store i32 %sum, i32 %reuse_reg", "store"),
        step(3, 25, "0.00", "%br_ln3 = br void %for.inc", "br"),
        "",
    )
)
