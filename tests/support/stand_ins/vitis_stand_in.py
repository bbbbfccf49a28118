#!/usr/bin/env python3
"""A stand-in for vitis_hls, vitis-run, v++ and xclbinutil: replays small reports beside it. It synthesises nothing.

Which tool it plays is the name it is called by. STAND_IN_MODE changes how it ends: fail, hang (with a child process
that would outlive it), silent (no report), malformed (a truncated report), deadlock (as public logs spell it).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPORTS = Path(__file__).resolve().parent
TOP = "aebert_kernel"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    tool, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    mode = os.environ.get("STAND_IN_MODE", "")
    say(f"stand-in for {tool}: replays reports, synthesises nothing")
    if mode == "hang":
        child = subprocess.Popen(["sleep", "600"])
        Path(os.environ["STAND_IN_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    if mode == "fail":
        say("INFO: [HLS 200-10] Analyzing design file 'kernel/engine.cpp' ...")
        say("ERROR: [HLS 207-2163] 'dim' is out of range")
        return 1
    if mode == "deadlock":
        say((REPORTS / "deadlock.log").read_text())
        return 1
    if tool == "vitis_hls":
        assert arguments == ["-f", "hls.tcl"], arguments
        steps, work = os.environ["AEBERT_HLS_STEPS"].split(), Path("build/hls/solution")
    elif tool == "xclbinutil":
        return add_section(arguments)
    elif "--link" in arguments:
        return link(arguments)
    else:
        assert arguments[arguments.index("--config") + 1] == "hls_config.cfg", arguments
        names = {"--csim": "csim", "--cosim": "cosim", "--package": "export", "-c": "csynth"}
        steps = [step for option, step in names.items() if option in arguments]
        work = Path(arguments[arguments.index("--work_dir") + 1]) / "hls"
    for step in steps:
        run(step, work, mode)
    return 0


def add_section(arguments: list[str]) -> int:
    """Copies the container, after looking at what it would be given."""
    kind, _, section = arguments[arguments.index("--add-section") + 1].rpartition(":")
    assert kind == "USER_METADATA:RAW", kind
    assert Path(section).is_file(), section
    shutil.copy(arguments[arguments.index("--input") + 1], arguments[arguments.index("--output") + 1])
    return 0


def run(step: str, work: Path, mode: str) -> None:
    say(f"aebert: step {step}")
    if step == "csynth":
        say("INFO: [HLS 200-42] -- Implementing module 'engine_Pipeline_Steps'")
        place("csynth.xml", work / "syn" / "report" / "csynth.xml", mode)
    elif step == "cosim":
        say('// RTL Simulation : 1 / 2 [55.50%] @ "12345000"')
        say("INFO: [COSIM 212-1000] *** C/RTL co-simulation finished: PASS ***")
        place("cosim.rpt", work / "sim" / "report" / f"{TOP}_cosim.rpt", mode)
    elif step == "export":
        Path("build", f"{TOP}.xo").write_text("made by a stand-in\n")


def place(name: str, target: Path, mode: str) -> None:
    if mode == "silent":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REPORTS / name, target)
    if mode == "malformed":
        target.write_text(target.read_text()[:700])


def link(arguments: list[str]) -> int:
    say("****** v++ v2023.2 (64-bit)")
    say("INFO: [v++ 60-1443] [12:00:00] Run run_link: Step system_link: Started")
    say("[12:00:01] Run vpl: Step synth: Started")
    say("[12:00:02] Finished 2nd of 6 tasks (FPGA logic placement). Elapsed time: 00h 19m 24s")
    say(
        "INFO: [v++ 60-1230] The compiler selected the following frequencies for the runtime controllable kernel "
        "clock(s) and scalable system clock(s): System (SYSTEM) clock: clk_out1 = 300, "
        "Kernel (DATA) clock: clk_kernel_00 = 287"
    )
    Path(arguments[arguments.index("-o") + 1]).write_text("made by a stand-in\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
