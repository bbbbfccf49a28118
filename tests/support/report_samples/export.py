"""What an export of the RTL says after synthesis and implementation."""
# tables and trailing blanks are as the tools write them

from __future__ import annotations

EXPORT_IMPL = """================================================================
== Vivado Place & Route Results
================================================================
+ General Information:
    * Date:            Wed Nov 15 16:47:22 EST 2023
    * Version:         2022.1 (Build 3605665 on Fri Aug  5 22:52:02 MDT 2022)
    * Project:         out.prj
    * Solution:        solution1 (Vivado IP Flow Target)
    * Product family:  virtexuplusHBM
    * Target device:   xcu280-fsvh2892-2L-e


================================================================
== Place & Route Resource Summary
================================================================
LUT:              1500
FF:               2000
DSP:              64
BRAM:             12
URAM:             4
SRL:              98


================================================================
== Place & Route Timing Summary
================================================================
* Timing was not met
+----------------+-------------+
| Timing         | Period (ns) |
+----------------+-------------+
| Target         | 2.500       |
| Post-Synthesis | 1.569       |
| Post-Route     | 2.632       |
+----------------+-------------+


================================================================
== Place & Route Resources
================================================================
+-----------+------+------+
| Name      | LUT  | FF   |
+-----------+------+------+
| inst      | 1500 | 2000 |
+-----------+------+------+
"""

EXPORT_SYN = """================================================================
== Vivado RTL Synthesis Results
================================================================
+ General Information:
    * Version:         2022.1 (Build 3605665 on Fri Aug  5 22:52:02 MDT 2022)
    * Target device:   xcu280-fsvh2892-2L-e


================================================================
== RTL Synthesis Resource Summary
================================================================
LUT:              1600
FF:               2100
DSP:              64
BRAM:             12
URAM:             4


================================================================
== RTL Synthesis Timing Summary
================================================================
* Timing was met
+------------+-------------+
| Timing     | Period (ns) |
+------------+-------------+
| Target     | 2.500       |
| Post-Route | 1.569       |
+------------+-------------+
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
