"""The machine line that every benchmark prints above its figures."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path


def cpu_name() -> str:
    """The processor's name as Linux knows it, else what Python knows."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_line() -> str:
    """For example ``AMD EPYC 7B13, 2 cores, Python 3.11.7, 2026-11-22``."""
    return f"{cpu_name()}, {cores()} cores, Python {platform.python_version()}, {date.today().isoformat()}"
