"""What a project's run records say of its design, for whoever fits the cost model to them."""

from __future__ import annotations

from pathlib import Path

from aebert.cost_model.run_inputs import RunInputs
from aebert.timing.scheduled_latencies import scheduled_latencies
from codegen.manifest import Manifest
from codegen.schedule.stored_schedule import known_schedule


def project_inputs(project: Path, manifest: Manifest) -> RunInputs:
    """Without what ran on it. The schedule is the project's own, where there is one."""
    found = known_schedule(project, manifest)
    scheduled = None if found is None else scheduled_latencies(manifest.config, found.schedules())
    return RunInputs(manifest.config, manifest.compute_units, manifest.clock_mhz, scheduled=scheduled)
