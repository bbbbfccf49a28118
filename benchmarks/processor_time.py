"""Processor seconds of a step that may hand its work to processes of its own, as a search does."""

from __future__ import annotations

import os


def processor_seconds() -> float:
    """Seconds of user and system time so far: this process's, and of its children those that have ended and been waited
    for. ``time.process_time`` has none of what a search's workers did.
    """
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
