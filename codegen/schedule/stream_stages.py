"""When a scheduled loop accesses its streams, for timed emulation."""

from __future__ import annotations

from aebert.timing.loop_schedules import StreamStage
from codegen.schedule.result import LoopSchedule

_READS = frozenset({"read", "nbread", "nbreadreq"})
_WRITES = frozenset({"write", "nbwrite"})


def stream_stages(schedule: LoopSchedule) -> tuple[StreamStage, ...]:
    """Of each stream and port of the loop, in the order of names."""
    first: dict[tuple[str, bool], int] = {}
    for access in schedule.accesses:
        if access.opcode in _READS | _WRITES:
            key = (access.storage, access.opcode in _READS)
            first[key] = min(access.stage, first.get(key, access.stage))
    return tuple(StreamStage(stream, stage, reads) for (stream, reads), stage in sorted(first.items()))
