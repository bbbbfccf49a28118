"""The clock that the schedule of a design's kernel supports, for benchmarks that print latencies."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aebert.design.design import Design
from benchmarks.kernel_folder import write_files
from codegen.render import kernel_files
from codegen.schedule.graph import DesignContext
from codegen.schedule.project_schedule import scheduled_loops


def supported_mhz(design: Design) -> float:
    """At which every pipelined loop of the kernel has its II, by our own schedule at the design's clock.

    Takes some ten seconds for a kernel of which nothing is in the user's cache of schedules.
    """
    context = DesignContext(clock_period_ns=1000 / design.clock_mhz, part=design.board.part)
    with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
        write_files(kernel_files(design.config, design.buffers), Path(scratch))
        loops = scheduled_loops(Path(scratch), context, design.config.word_bytes, None)
    return min(loop.supported_mhz for loop in loops if loop.asked_ii is not None)
