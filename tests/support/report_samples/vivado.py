"""Vivado's reports of a routed design."""
# ruff: noqa: E501  # tables and trailing blanks are as the tools write them

from __future__ import annotations


def vivado_header(command: str, design: str = "level0_wrapper", state: str = "Routed") -> str:
    rule = "-" * 100
    return f"""Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
{rule}
| Tool Version : Vivado v.2022.1.2 (lin64) Build 3605665 Fri Aug  5 22:52:02 MDT 2022
| Date         : Thu Sep  7 16:07:12 2023
| Host         : builder running 64-bit CentOS Linux release 7.9.2009 (Core)
| Command      : {command}
| Design       : {design}
| Device       : xcu280-fsvh2892-2L-e
| Design State : {state}
{rule}

"""


KERNEL_UTILIZATION = (
    vivado_header("report_accelerator_utilization -kernels {...}", state="Fully Placed")
    + """Accelerator Utilization Design Information

Table of Contents
-----------------
1. System Utilization

1. System Utilization
---------------------

+---------------------+-------------------+------------------+-------------------+----------------+---------------+----------------+
| Name                | LUT               | LUTAsMem         | REG               | BRAM           | URAM          | DSP            |
+---------------------+-------------------+------------------+-------------------+----------------+---------------+----------------+
| Platform            |  121610 [  9.33%] |   8735 [  1.45%] |  165274 [  6.34%] |  197 [  9.77%] |   0 [  0.00%] |    4 [  0.04%] |
| User Budget         | 1182070 [100.00%] | 592225 [100.00%] | 2442086 [100.00%] | 1819 [100.00%] | 960 [100.00%] | 9020 [100.00%] |
|    Used Resources   |  151109 [ 12.78%] |  17155 [  2.90%] |  182081 [  7.46%] | 77.5 [  4.26%] |  12 [  1.25%] |  802 [  8.89%] |
|    Unused Resources | 1030961 [ 87.22%] | 575070 [ 97.10%] | 2260005 [ 92.54%] | 1742 [ 95.74%] | 948 [ 98.75%] | 8218 [ 91.11%] |
| encoder             |  151109 [ 12.78%] |  17155 [  2.90%] |  182081 [  7.46%] | 77.5 [  4.26%] |  12 [  1.25%] |  802 [  8.89%] |
|    encoder_1        |  151109 [ 12.78%] |  17155 [  2.90%] |  182081 [  7.46%] | 77.5 [  4.26%] |  12 [  1.25%] |  802 [  8.89%] |
+---------------------+-------------------+------------------+-------------------+----------------+---------------+----------------+
"""
)

UTILIZATION = (
    vivado_header("report_utilization -file full_util_routed.rpt")
    + """Utilization Design Information

Table of Contents
-----------------
1. CLB Logic

1. CLB Logic
------------

+----------------------------+--------+--------+------------+-----------+-------+
|          Site Type         |  Used  |  Fixed | Prohibited | Available | Util% |
+----------------------------+--------+--------+------------+-----------+-------+
| CLB LUTs*                  | 272719 | 107629 |          0 |   1303680 | 20.92 |
|   LUT as Logic             | 246829 | 101652 |          0 |   1303680 | 18.93 |
| CLB Registers              | 347355 | 136086 |          0 |   2607360 | 13.32 |
|   Register as AND/OR       |      4 |      4 |          0 |   2607360 | <0.01 |
+----------------------------+--------+--------+------------+-----------+-------+
* Warning! LUT value is adjusted to account for LUT combining.

3. BLOCKRAM
-----------

+-------------------+--------+-------+------------+-----------+-------+
|     Site Type     |  Used  | Fixed | Prohibited | Available | Util% |
+-------------------+--------+-------+------------+-----------+-------+
| Block RAM Tile    | 1374.5 |     0 |          0 |      2016 | 68.18 |
|   RAMB36/FIFO*    |   1327 |   193 |          0 |      2016 | 65.82 |
|   RAMB18          |     95 |     5 |          0 |      4032 |  2.36 |
| URAM              |     12 |     0 |          0 |       960 |  1.25 |
+-------------------+--------+-------+------------+-----------+-------+

4. ARITHMETIC
-------------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |  806 |     4 |          0 |      9024 |  8.93 |
+----------------+------+-------+------------+-----------+-------+
"""
)

SLR_UTILIZATION = (
    vivado_header("report_utilization -slr -file slr_util_routed.rpt")
    + """Utilization Design Information

3. SLR CLB Logic and Dedicated Block Utilization
------------------------------------------------

+----------------------------+--------+--------+-------+--------+--------+--------+
|          Site Type         |  SLR0  |  SLR1  |  SLR2 | SLR0 % | SLR1 % | SLR2 % |
+----------------------------+--------+--------+-------+--------+--------+--------+
| CLB LUTs                   | 108953 | 137288 | 26478 |  24.78 |  31.78 |   6.13 |
| CLB Registers              | 154307 | 157818 | 35230 |  17.55 |  18.27 |   4.08 |
| Block RAM Tile             |  294.5 |    550 |   530 |  43.82 |  81.85 |  78.87 |
| URAM                       |     12 |      0 |     0 |   3.75 |   0.00 |   0.00 |
| DSPs                       |    365 |    437 |     4 |  12.67 |  14.23 |   0.13 |
+----------------------------+--------+--------+-------+--------+--------+--------+
"""
)

HIERARCHICAL_UTILIZATION = (
    vivado_header("report_utilization -hierarchical", design="bd_0_wrapper", state="Synthesized")
    + """Utilization Design Information

Table of Contents
-----------------
1. Utilization by Hierarchy

1. Utilization by Hierarchy
---------------------------

+-----------------+----------+------------+------------+---------+------+-----+--------+--------+------+------------+
|     Instance    |  Module  | Total LUTs | Logic LUTs | LUTRAMs | SRLs | FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |
+-----------------+----------+------------+------------+---------+------+-----+--------+--------+------+------------+
| bd_0_wrapper    |    (top) |        142 |        120 |      12 |   10 |  38 |      2 |      3 |    1 |          3 |
|   hls_inst      |  encoder |        142 |        120 |      12 |   10 |  38 |      2 |      3 |    1 |          3 |
|     mac_U3      |      mac |          9 |          9 |       0 |    0 |   0 |      0 |      1 |    0 |          1 |
+-----------------+----------+------------+------------+---------+------+-----+--------+--------+------+------------+
"""
)

TIMING_SUMMARY = (
    vivado_header("report_timing_summary -max_paths 10", design="bd_0_wrapper")
    + """Timing Summary Report

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
     -0.452     -577.747                   5806               739824        0.070        0.000                      0               739824        0.867        0.000                       0                312621


Timing constraints are not met.


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock     Waveform(ns)       Period(ns)      Frequency(MHz)
-----     ------------       ----------      --------------
ap_clk    {0.000 1.667}      3.333           300.030
idle_clk  {0.000 5.000}      10.000          100.000


------------------------------------------------------------------------------------------------
| Intra Clock Table
| -----------------
------------------------------------------------------------------------------------------------

Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
-----             -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
ap_clk             -0.452     -577.747                   5806               739824        0.070        0.000                      0               739824        0.867        0.000                       0                312621


------------------------------------------------------------------------------------------------
| Inter Clock Table
| -----------------
------------------------------------------------------------------------------------------------
"""
)

CLOCK_UTILIZATION = (
    vivado_header("report_clock_utilization")
    + """Clock Utilization Report

Table of Contents
-----------------
1. Clock Primitive Utilization
2. Global Clock Resources

2. Global Clock Resources
-------------------------

+-----------+-----------+-----------------+-------------+--------------+------------+
| Global Id | Source Id | Driver Type/Pin | Clock Loads | Clock Period | Clock      |
+-----------+-----------+-----------------+-------------+--------------+------------+
| g0        | src0      | BUFG/O          |       13392 |       12.999 | clk_fpga_0 |
+-----------+-----------+-----------------+-------------+--------------+------------+
"""
)
