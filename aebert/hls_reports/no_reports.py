"""Files beside the reports of Vitis, Vivado and XRT that hold no figure: what they are, and what to give instead."""

from __future__ import annotations

import re

_SUMMARIES = re.compile(r"\.(?:xclbin\.)?(?:run|link|compile|package|hlscompile)_summary$")
_HLS_DATABASE = re.compile(r"^\+ Verbose Summary: ", re.MULTILINE)
_TRACE = re.compile(r"\A(?:HEADER\s*\n)?(?:VP )?(?:HEADER|Version,|Profiling Version)|^STRUCTURE\s*$", re.MULTILINE)


def what_instead(name: str, text: str) -> tuple[str, str] | None:
    """(What the file is, what to give instead) for a kind that is known to hold no figure; else None."""
    lower = name.lower()
    if _SUMMARIES.search(lower):
        return (
            "a list of a run's files for the Vitis analyzer, without figures",
            "give the reports it lists: summary.csv, the link log, *_kernel_util_*.rpt",
        )
    if lower.endswith((".hwh", ".hwdef")) or (text.lstrip().startswith("<") and "<EDKSYSTEM" in text[:4000]):
        return (
            "a hardware handoff for PYNQ: the block design's addresses, without figures",
            "give the timing summary and report_utilization of the same Vivado run",
        )
    if _HLS_DATABASE.search(text) and "== Utilization Estimates" not in text:
        return "a working file of HLS: how it scheduled or bound one function", "give syn/report/<f>_csynth.rpt"
    if lower.endswith(".vcd") or text.startswith(("$date", "$timescale", "$version")):
        return "a waveform trace", "give <f>_cosim.rpt, which has the cycles"
    if lower.endswith(("_trace.csv", "timeline_trace.csv")) or _TRACE.search(text[:20_000]):
        return "an event trace of XRT for the Vitis analyzer", "give summary.csv of the same run"
    return None
