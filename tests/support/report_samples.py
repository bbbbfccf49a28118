"""Small reports in the layouts that HLS, Vivado, v++ and XRT write, with numbers made up for the tests."""
# ruff: noqa: E501, W291  # tables and trailing blanks are as the tools write them

from __future__ import annotations

CSYNTH_XML_2018 = """<profile>
<ReportVersion>
<Version>2018.2</Version>
</ReportVersion>
<UserAssignments>
<unit>ns</unit>
<ProductFamily>zynq</ProductFamily>
<Part>xc7z020clg484-1</Part>
<TopModelName>engine</TopModelName>
<TargetClockPeriod>10.00</TargetClockPeriod>
<ClockUncertainty>1.25</ClockUncertainty>
</UserAssignments>
<PerformanceEstimates>
<PipelineType>none</PipelineType>
<SummaryOfTimingAnalysis>
<unit>ns</unit>
<EstimatedClockPeriod>8.510</EstimatedClockPeriod>
</SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<unit>clock cycles</unit>
<Best-caseLatency>120</Best-caseLatency>
<Average-caseLatency>undef</Average-caseLatency>
<Worst-caseLatency>undef</Worst-caseLatency>
<Interval-min>121</Interval-min>
<Interval-max>undef</Interval-max>
</SummaryOfOverallLatency>
<SummaryOfLoopLatency>
<Rows>
<TripCount>
<range>
<min>0</min>
<max>255</max>
</range>
</TripCount>
<Latency>undef</Latency>
<IterationLatency>
<range>
<min>7</min>
<max>90</max>
</range>
</IterationLatency>
<Latency>
<TripCount>64</TripCount>
<Latency>66</Latency>
<PipelineII>1</PipelineII>
<PipelineDepth>4</PipelineDepth>
</Latency>
</Rows>
</SummaryOfLoopLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources>
<BRAM_18K>3</BRAM_18K>
<DSP48E>17</DSP48E>
<FF>2100</FF>
<LUT>3300</LUT>
<URAM>0</URAM>
</Resources>
<AvailableResources>
<BRAM_18K>280</BRAM_18K>
<DSP48E>220</DSP48E>
<FF>106400</FF>
<LUT>53200</LUT>
<URAM>0</URAM>
</AvailableResources>
</AreaEstimates>
</profile>
"""

CSYNTH_XML_2024 = """<profile>
    <ReportVersion><Version>2024.1</Version></ReportVersion>
    <UserAssignments>
        <unit>ns</unit>
        <ProductFamily>virtexuplus</ProductFamily>
        <Part>xcu200-fsgd2104-2-e</Part>
        <TopModelName>encoder</TopModelName>
        <TargetClockPeriod>3.33</TargetClockPeriod>
        <ClockUncertainty>0.90</ClockUncertainty>
        <FlowTarget>vitis</FlowTarget>
    </UserAssignments>
    <PerformanceEstimates>
        <PipelineType>dataflow</PipelineType>
        <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>2.431</EstimatedClockPeriod></SummaryOfTimingAnalysis>
        <SummaryOfOverallLatency>
            <unit>clock cycles</unit>
            <Best-caseLatency>1797</Best-caseLatency>
            <Average-caseLatency>2058</Average-caseLatency>
            <Worst-caseLatency>2318</Worst-caseLatency>
            <Worst-caseRealTimeLatency>7.719 us</Worst-caseRealTimeLatency>
            <DataflowPipelineThroughput><range><min>1798</min><max>2319</max></range></DataflowPipelineThroughput>
            <Interval-min>1798</Interval-min>
            <Interval-max>2319</Interval-max>
        </SummaryOfOverallLatency>
        <SummaryOfViolations>
            <IssueType>-</IssueType>
            <ViolationType>-</ViolationType>
            <SourceLocation>kernel.cpp:10</SourceLocation>
            <SummaryOfLoopViolations>
                <Tiles>
                    <Name>Tiles</Name>
                    <IssueType>II Violation</IssueType>
                    <ViolationType>Memory Dependency</ViolationType>
                    <IterationDistance>1</IterationDistance>
                    <SourceLocation>kernel.cpp:39</SourceLocation>
                </Tiles>
            </SummaryOfLoopViolations>
        </SummaryOfViolations>
    </PerformanceEstimates>
    <AreaEstimates>
        <Resources><BRAM_18K>6</BRAM_18K><DSP>48</DSP><FF>6526</FF><LUT>3862</LUT><URAM>2</URAM></Resources>
        <AvailableResources><BRAM_18K>4320</BRAM_18K><DSP>6840</DSP><FF>2364480</FF><LUT>1182240</LUT><URAM>960</URAM></AvailableResources>
    </AreaEstimates>
    <RTLDesignHierarchy>
        <TopModule MAX_DEPTH="2">
            <ModuleName>encoder</ModuleName>
            <InstancesList>
                <Instance><InstName>compute_U0</InstName><ModuleName>compute</ModuleName><ID>110</ID></Instance>
            </InstancesList>
        </TopModule>
    </RTLDesignHierarchy>
    <ModuleInformation>
        <Module>
            <Name>compute</Name>
            <Loops><Tiles/></Loops>
            <PerformanceEstimates>
                <SummaryOfTimingAnalysis>
                    <TargetClockPeriod>3.33</TargetClockPeriod>
                    <ClockUncertainty>0.90</ClockUncertainty>
                    <EstimatedClockPeriod>2.431</EstimatedClockPeriod>
                </SummaryOfTimingAnalysis>
                <SummaryOfOverallLatency>
                    <Best-caseLatency>520</Best-caseLatency>
                    <Average-caseLatency>520</Average-caseLatency>
                    <Worst-caseLatency>520</Worst-caseLatency>
                    <PipelineInitiationInterval>1 ~ 520</PipelineInitiationInterval>
                    <PipelineType>no</PipelineType>
                </SummaryOfOverallLatency>
                <SummaryOfLoopLatency>
                    <Tiles>
                        <Name>Tiles</Name>
                        <Slack>2.43</Slack>
                        <TripCount>64</TripCount>
                        <Latency>518</Latency>
                        <AbsoluteTimeLatency>1.725 us</AbsoluteTimeLatency>
                        <PipelineII>8</PipelineII>
                        <PipelineDepth>9</PipelineDepth>
                        <PipelineType>yes</PipelineType>
                        <InstanceList><Instance>grp_mac_fu_80</Instance></InstanceList>
                    </Tiles>
                </SummaryOfLoopLatency>
            </PerformanceEstimates>
            <AreaEstimates>
                <Resources>
                    <FF>511</FF><AVAIL_FF>2364480</AVAIL_FF><UTIL_FF>~0</UTIL_FF>
                    <LUT>382</LUT><AVAIL_LUT>1182240</AVAIL_LUT><UTIL_LUT>~0</UTIL_LUT>
                    <BRAM_18K>4</BRAM_18K><DSP>48</DSP><URAM>0</URAM>
                </Resources>
            </AreaEstimates>
            <BindNodes>
                <BindNode BINDTYPE="op" BRAM="0" DSP="3" IMPL="dsp_slice" LATENCY="3" LOOP="Tiles" OPTYPE="mul" RTLNAME="mul_U1" SOURCE="kernel.cpp:43" URAM="0" VARIABLE="product"/>
                <BindNode BINDTYPE="storage" BRAM="2" DSP="0" IMPL="bram" LATENCY="1" LOOP="" OPTYPE="ram_2p" RTLNAME="acc_U" SOURCE="kernel.cpp:22" STORAGESIZE="32 1024 1" STORAGEUSAGE="ram_2p array" URAM="0" VARIABLE="acc"/>
                <BindNode BINDTYPE="op" BRAM="0" DSP="0" IMPL="auto" LATENCY="-1" LOOP="" OPTYPE="add" RTLNAME="add_U" URAM="0" VARIABLE="sum"/>
            </BindNodes>
        </Module>
    </ModuleInformation>
    <FIFOInformation><FIFOInst><Name>tiles_U</Name><ParentInst/><StaticDepth>64</StaticDepth></FIFOInst></FIFOInformation>
    <PragmaReport><Pragma type="pipeline" location="kernel.cpp:38" status="valid" parentFunction="compute" options="II=1"/></PragmaReport>
</profile>
"""

CSYNTH_RPT_2018 = """

================================================================
== Vivado HLS Report for 'engine'
================================================================
* Date:           Mon Jul  2 10:00:00 2018

* Version:        2018.2 (Build 2258646 on Thu Jun 14 20:25:20 MDT 2018)
* Project:        proj
* Solution:       solution1
* Product family: zynq
* Target device:  xc7z020clg484-1


================================================================
== Performance Estimates
================================================================
+ Timing (ns): 
    * Summary: 
    +--------+-------+----------+------------+
    |  Clock | Target| Estimated| Uncertainty|
    +--------+-------+----------+------------+
    |ap_clk  |  10.00|      8.51|        1.25|
    +--------+-------+----------+------------+

+ Latency (clock cycles): 
    * Summary: 
    +-----+-----+-----+-----+---------+
    |  Latency  |  Interval | Pipeline|
    | min | max | min | max |   Type  |
    +-----+-----+-----+-----+---------+
    |  120|    ?|  121|    ?|   none  |
    +-----+-----+-----+-----+---------+

    + Detail: 
        * Instance: 
        +--------------+---------+-----+-----+-----+-----+---------+
        |              |         |  Latency  |  Interval | Pipeline|
        |   Instance   |  Module | min | max | min | max |   Type  |
        +--------------+---------+-----+-----+-----+-----+---------+
        |grp_mac_fu_1  |mac      |    3|    3|    1|    1| function|
        +--------------+---------+-----+-----+-----+-----+---------+

        * Loop: 
        +-----------------+-----+-----+----------+-----------+-----------+---------+----------+
        |                 |  Latency  | Iteration|  Initiation Interval  |   Trip  |          |
        |    Loop Name    | min | max |  Latency |  achieved |   target  |  Count  | Pipelined|
        +-----------------+-----+-----+----------+-----------+-----------+---------+----------+
        |- Rows           |    0|    ?|   7 ~ 90 |          -|          -| 0 ~ 255 |    no    |
        | + Columns       |   66|   66|         4|          2|          1|       64|    yes   |
        |  ++ Lanes       |    8|    8|         2|          -|          -|        4|    no    |
        |- Drain          |   10|   10|         1|          1|          1|       10|    yes   |
        +-----------------+-----+-----+----------+-----------+-----------+---------+----------+



================================================================
== Utilization Estimates
================================================================
* Summary: 
+-----------------+---------+-------+--------+-------+
|       Name      | BRAM_18K| DSP48E|   FF   |  LUT  |
+-----------------+---------+-------+--------+-------+
|DSP              |        -|      1|       -|      -|
|Instance         |        -|     16|    1000|   1200|
|Register         |        3|      -|    1100|   2100|
+-----------------+---------+-------+--------+-------+
|Total            |        3|     17|    2100|   3300|
+-----------------+---------+-------+--------+-------+
|Available        |      280|    220|  106400|  53200|
+-----------------+---------+-------+--------+-------+
|Utilization (%)  |        1|      7|       1|      6|
+-----------------+---------+-------+--------+-------+

+ Detail: 
    * Instance: 
    +--------------+---------+---------+-------+------+------+
    |   Instance   |  Module | BRAM_18K| DSP48E|  FF  |  LUT |
    +--------------+---------+---------+-------+------+------+
    |grp_mac_fu_1  |mac      |        0|     16|  1000|  1150|
    |mul_U7        |mul_8s   |        0|      0|     0|    50|
    +--------------+---------+---------+-------+------+------+
    |Total         |         |        0|     16|  1000|  1200|
    +--------------+---------+---------+-------+------+------+
"""

CSYNTH_RPT_2023 = """

================================================================
== Vitis HLS Report for 'encoder'
================================================================
* Date:           Tue Oct  1 18:34:32 2024

* Version:        2023.2 (Build 4023990 on Oct 11 2023)
* Project:        proj
* Solution:       solution1 (Vitis Kernel Flow Target)
* Product family: virtexuplus
* Target device:  xcu200-fsgd2104-2-e


================================================================
== Performance Estimates
================================================================
+ Timing: 
    * Summary: 
    +--------+---------+----------+------------+
    |  Clock |  Target | Estimated| Uncertainty|
    +--------+---------+----------+------------+
    |ap_clk  |  3.33 ns|  2.615 ns|     0.90 ns|
    +--------+---------+----------+------------+

+ Latency: 
    * Summary: 
    +---------+---------+----------+----------+--------+--------+----------+
    |  Latency (cycles) |  Latency (absolute) |     Interval    | Pipeline |
    |   min   |   max   |    min   |    max   |   min  |   max  |   Type   |
    +---------+---------+----------+----------+--------+--------+----------+
    |   262240|   262999|  0.873 ms|  0.876 ms|  262161|  262900|  dataflow|
    +---------+---------+----------+----------+--------+--------+----------+

    + Detail: 
        * Instance: 
        N/A

        * Loop: 
        N/A



================================================================
== Utilization Estimates
================================================================
* Summary: 
+---------------------+---------+------+---------+---------+-----+
|         Name        | BRAM_18K|  DSP |    FF   |   LUT   | URAM|
+---------------------+---------+------+---------+---------+-----+
|Instance             |        7|    35|     7425|     6665|    7|
+---------------------+---------+------+---------+---------+-----+
|Total                |        7|    35|     7425|     6665|    7|
+---------------------+---------+------+---------+---------+-----+
|Available SLR        |     1440|  2280|   788160|   394080|  320|
+---------------------+---------+------+---------+---------+-----+
|Utilization SLR (%)  |       ~0|     1|       ~0|        1|    2|
+---------------------+---------+------+---------+---------+-----+
|Available            |     4320|  6840|  2364480|  1182240|  960|
+---------------------+---------+------+---------+---------+-----+
|Utilization (%)      |       ~0|    ~0|       ~0|       ~0|   ~0|
+---------------------+---------+------+---------+---------+-----+
"""

CSYNTH_SUMMARY = """

================================================================
== Synthesis Summary Report of 'encoder'
================================================================
+ General Information: 
    * Date:           Thu Oct 17 16:12:24 2024
    * Version:        2024.1 (Build 5069499 on May 21 2024)
    * Project:        encoder
    * Solution:       hls (Vivado IP Flow Target)
    * Product family: virtexuplus
    * Target device:  xcu200-fsgd2104-2-e


+ Performance & Resource Estimates: 

    PS: '+' for module; 'o' for loop; '*' for dataflow
    +------------------+------+------+---------+---------+----------+---------+------+----------+---------+-----------+-----------+-----------+-----+
    |      Modules     | Issue|      | Latency | Latency | Iteration|         | Trip |          |         |           |           |           |     |
    |      & Loops     | Type | Slack| (cycles)|   (ns)  |  Latency | Interval| Count| Pipelined|   BRAM  |    DSP    |     FF    |    LUT    | URAM|
    +------------------+------+------+---------+---------+----------+---------+------+----------+---------+-----------+-----------+-----------+-----+
    |+ encoder*        |     -|  0.00|        -|        -|         -|        -|     -|  dataflow|  6 (~0%)|    48 (1%)|  126 (~0%)|  376 (~0%)|    -|
    | + load           |     -|  5.93|      274|  912.000|         -|      274|     -|        no|        -|          -|   20 (~0%)|   91 (~0%)|    -|
    |  o Beats         |     -|  7.30|      272|  905.000|         2|        1|   272|       yes|        -|          -|          -|          -|    -|
    | + compute        |    II|  0.66|     2318|7.72e+03 |         -|     2318|     -|        no|  6 (~0%)|    48 (1%)|  100 (~0%)|  200 (~0%)|    -|
    |  o Tiles         |    II|  7.30|     2300|7.66e+03 |         7|        2|     9|       yes|        -|          -|          -|          -|    -|
    +------------------+------+------+---------+---------+----------+---------+------+----------+---------+-----------+-----------+-----------+-----+


================================================================
== Bind Op Report
================================================================
+------------------+-----+--------+-----------+-----+-----------+---------+
| Name             | DSP | Pragma | Variable  | Op  | Impl      | Latency |
+------------------+-----+--------+-----------+-----+-----------+---------+
| + encoder*       | 48  |        |           |     |           |         |
|  + compute       | 48  |        |           |     |           |         |
|    mac_U2        | 1   |        | product   | mul | dsp_slice | 3       |
|    add_fu_p2     | -   |        | sum       | add | fabric    | 0       |
+------------------+-----+--------+-----------+-----+-----------+---------+


================================================================
== Bind Storage Report
================================================================
+------------+------+------+--------+----------+---------+------+---------+
| Name       | BRAM | URAM | Pragma | Variable | Storage | Impl | Latency |
+------------+------+------+--------+----------+---------+------+---------+
| + encoder* | 6    | 0    |        |          |         |      |         |
|  + compute | 6    | 0    |        |          |         |      |         |
|    acc_U   | 6    | -    |        | acc      | ram_s2p | auto | 1       |
+------------+------+------+--------+----------+---------+------+---------+
"""

COSIM_2019 = """
Report time       : Mon Jun  8 18:21:12 CST 2019.
Solution          : sol1.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |                    Latency                    |                    Interval                   |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      Pass|            175|            180|            190|            176|            181|            191|
+----------+----------+-----------------------------------------------+-----------------------------------------------+
"""

COSIM_2022 = """Report time       : Sun 12 Mar 2023 11:41:50 PM CST.
Solution          : solution1.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
|          |          |             Latency(Clock Cycles)             |              Interval(Clock Cycles)           | Total Execution Time |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+    (Clock Cycles)    +
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |                      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
|      VHDL|        NA|           6258|           6258|           6258|           6259|           6259|           6259|                 25035|
|   Verilog|      Pass|           4100|           4150|           4200|             NA|             NA|             NA|                  8300|
+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
"""


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

LINK_LOG = """INFO: [v++ 60-1306] Additional information associated with this v++ link can be found at: _x/reports
****** v++ v2021.1 (64-bit)
  **** SW Build 3246112 on 2021-06-09-14:19:56
INFO: [v++ 60-895]   Target platform: platforms/xilinx_u280_xdma_201920_3.xpfm
INFO: [v++ 60-1230] The compiler selected the following frequencies for the runtime controllable kernel clock(s) and scalable system clock(s): System (SYSTEM) clock: clk_out1 = 450, Kernel (DATA) clock: clkwiz_kernel_clk_out1 = 300, Kernel (KERNEL) clock: clkwiz_kernel2_clk_out1 = 500
WARNING: [v++ 60-732] Link warning: timing was not met, trying again
INFO: [v++ 60-1230] The compiler selected the following frequencies for the runtime controllable kernel clock(s) and scalable system clock(s): System (SYSTEM) clock: clk_out1 = 450, Kernel (DATA) clock: clkwiz_kernel_clk_out1 = 154, Kernel (KERNEL) clock: clkwiz_kernel2_clk_out1 = 500
INFO: [v++ 60-586] Created encoder.xclbin
"""

PROFILE_SUMMARY = """Profile Summary
Generated on: 2023-09-07 16:37:15
Msec since Epoch: 1694119035401
Profiled application: host
Target platform: Xilinx
Tool version: 2022.1
XRT build version: 2.13.479
Target devices: xilinx_u280_gen3x16_xdma_base_1-1
Flow mode: System Run

OpenCL API Calls
API Name,Number Of Calls,Total Time (ms),Minimum Time (ms),Average Time (ms),Maximum Time (ms),
clFinish,1,114.889,114.889,114.889,114.889,

Kernel Execution
Kernel,Number Of Enqueues,Total Time (ms),Minimum Time (ms),Average Time (ms),Maximum Time (ms),
encoder,4,8.4,2.0,2.1,2.3,

Data Transfer: Host to Global Memory
Context:Number of Devices,Transfer Type,Number Of Buffer Transfers,Transfer Rate (MB/s),Average Bandwidth Utilization (%),Average Buffer Size (KB),Total Time (ms),Average Time (ms),
context1:1,READ,1,574.653,100,36.864,0.06415,0.06415,
context1:1,WRITE,2,N/A,N/A,7141.44,N/A,N/A,

Compute Unit Utilization
Device,Compute Unit,Kernel,Global Work Size,Local Work Size,Number Of Calls,Dataflow Execution,Max Overlapping Executions,Dataflow Acceleration,Total Time (ms),Minimum Time (ms),Average Time (ms),Maximum Time (ms),Clock Frequency (MHz),
xilinx_u280_gen3x16_xdma_base_1-1,encoder_1,encoder,1:1:1,1:1:1,4,Yes,1,1.000000x,8.0,1.9,2.0,2.2,154,

Guidance Parameters
Parameter,Element,Value,
KERNEL_COUNT,encoder,1,
XRT_INI_SETTING,trace_buffer_size,1M,Size of buffer, to allocate
"""

EMULATION_PROFILE = """Compute Units: Running Time and Stalls
Compute Unit, Running Time (us), Intra-Kernel Dataflow Stalls (%), External Memory Stalls (%), External Stream Stalls (%)
encoder_1,270.842,0.000,12.500,0.000

Functions: Running Time and Stalls
Compute Unit, Function, Running Time (us)
encoder_1,compute,200.0
"""

ACCELERATOR_MONITOR = """Debug IP Status

Accelerator Monitor Counters (hex values are cycle count)
  Compute Unit     Ends      Starts    Max Parallel Itr  Execution         Memory Stall      Pipe Stall        Stream Stall      Min Exec          Max Exec
  encoder_1        2         3         1                 0x1f4             0x10              0x0               0x0               0xf0              104

AXI Interface Monitor Counters
"""

EXPORT_RPT = """

Implementation tool: Xilinx Vivado v.2024.1
Project:             encoder
Solution:            hls
Device target:       xc7z020-clg484-1
Report date:         Thu Oct 17 18:23:16 +0800 2024

#=== Post-Implementation Resource usage ===
SLICE:           13
LUT:             42
FF:              38
DSP:              3
BRAM:             5
URAM:             0
LATCH:            0
SRL:              0
CLB:              0

#=== Final timing ===
CP required:                     10.000
CP achieved post-synthesis:      3.884
CP achieved post-implementation: 4.085
Timing met
"""

EXPORT_XML = """<profile>
<RunData>
  <RUN_TYPE>impl</RUN_TYPE>
  <VIVADO_VERSION>v.2022.2</VIVADO_VERSION>
</RunData>
<TimingReport>
  <TargetClockPeriod>3.33</TargetClockPeriod>
  <AchievedClockPeriod>3.512</AchievedClockPeriod>
  <CP_SYNTH>2.9</CP_SYNTH>
  <TIMING_MET>FALSE</TIMING_MET>
</TimingReport>
<AreaReport>
  <Resources>
    <BRAM>12</BRAM>
    <DSP>64</DSP>
    <FF>2000</FF>
    <LUT>1500</LUT>
    <URAM>4</URAM>
  </Resources>
</AreaReport>
</profile>
"""

STREAM_TABLE = """Framework,Kernel,RTL Status,RTL Cycles,StreamHLS Cycles,Vitis Cycles,Latency (ns),BRAM,DSP,FF,LUT,URAM,BRAM Util
Opt1,3mm,Pass,638,640,636,2130.0,522,16,3600,4043,0,12.95%
POM,atax,Fail,-1,-1,-1,-1,-1,-1,-1,-1,-1,0.00%
"""

BOARD_TABLE = """#Transcribed from a user guide
src\tkernel\tboard\tfreq_MHz\tdtype\tM\tN\tK_or_NNZ\tkernel_time_ms\tkernel_cycles\teff_pct\tresources
a\tgemm\tU250\t250\tfp32\t64\t64\t64\t0.0109\t2725\t38.8\tkernel LUT 250679 BRAM 94 URAM 24 DSP 1224 FF 430512
a\tgemm\tU250\t250\tfp32\t128\t128\t128\t0.0485\t\t69.7\t
"""

SAMPLES: dict[str, tuple[str, str]] = {
    "engine_csynth.xml": ("csynth_xml", CSYNTH_XML_2018),
    "csynth.xml": ("csynth_xml", CSYNTH_XML_2024),
    "engine_csynth.rpt": ("csynth_rpt", CSYNTH_RPT_2018),
    "encoder_csynth.rpt": ("csynth_rpt", CSYNTH_RPT_2023),
    "csynth.rpt": ("csynth_summary", CSYNTH_SUMMARY),
    "engine_cosim.rpt": ("cosim", COSIM_2019),
    "encoder_cosim.rpt": ("cosim", COSIM_2022),
    "impl_1_kernel_util_placed.rpt": ("kernel_utilization", KERNEL_UTILIZATION),
    "impl_1_full_util_routed.rpt": ("utilization", UTILIZATION),
    "impl_1_slr_util_routed.rpt": ("utilization", SLR_UTILIZATION),
    "encoder_utilization_hierarchical_synth.rpt": ("hierarchical_utilization", HIERARCHICAL_UTILIZATION),
    "wrapper_timing_summary_routed.rpt": ("timing_summary", TIMING_SUMMARY),
    "wrapper_clock_utilization_routed.rpt": ("clock_utilization", CLOCK_UTILIZATION),
    "v++_encoder.log": ("link_log", LINK_LOG),
    "summary.csv": ("profile_summary", PROFILE_SUMMARY),
    "profile_kernels.csv": ("profile_summary", EMULATION_PROFILE),
    "debug_ip_status.txt": ("accelerator_monitor", ACCELERATOR_MONITOR),
    "encoder_export.rpt": ("export", EXPORT_RPT),
    "encoder_export.xml": ("export", EXPORT_XML),
    "polybench.csv": ("results_table", STREAM_TABLE),
    "hw_tables.tsv": ("results_table", BOARD_TABLE),
}
"""File name -> (kind, text). Every kind of report is here at least once."""
