"""C synthesis as XML, of two releases of HLS."""
# ruff: noqa: E501  # tables and trailing blanks are as the tools write them

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
