"""A user's way from a synthesis back to a better estimate: make csynth, one command, and every command knows.

The csynth.xml is a stand-in (tests/support/stand_in_csynth.py): no synthesis can run here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aebert.cost_model.run_inputs import from_text
from aebert.records.database import RecordFilter, open_database
from aebert.timing.loop_schedules import estimated_schedules
from codegen.project import Project, load_project
from codegen.toolchains.timed import source_pragmas
from host.devices.protocol import ClockedDevice
from host.farm import measurer
from host.farm.measurer import DeviceFarm, FarmSettings
from host.farm.messages import Opening, Plan
from host.farm.session import Session
from tests.support.command_line import aebert
from tests.support.stand_in_csynth import write_stand_in

pytest_plugins = ["tests.support.host_fixtures"]
DEEPER = 7


@pytest.fixture
def project(tiny_project: Project, tmp_path: Path) -> Project:
    """A copy that a test may synthesise."""
    return load_project(shutil.copytree(tiny_project.directory, tmp_path / "project"))


def answer(*arguments: object) -> dict[str, Any]:
    done = aebert(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def width(use: dict[str, Any]) -> float:
    return float(use["high"] / use["low"])


def used(estimate: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (use["used"] for use in estimate["resources"] if use["name"] == name)
    return dict(found)


def test_one_command_brings_a_synthesis_back_and_every_command_uses_it(project: Project, tmp_path: Path) -> None:
    database = tmp_path / "runs.sqlite"
    before = answer("estimate", project.directory, "--no-runs")
    lut, ff, dsp = (
        int(used(before, name)["mean"] * factor) for name, factor in (("lut", 1.3), ("ff", 1.1), ("dsp", 1))
    )
    write_stand_in(project, deeper=DEEPER, lut=lut, ff=ff, dsp=dsp, bram_18k=20)

    done = aebert("runs", "import", project.directory, "--database", database)
    assert done.exit_code == 0, done.stderr
    assert "to believe now" in done.stdout
    assert "engine" in done.stdout

    # Stored: the design with its inputs, every loop with II and depth, every unit with its resources.
    manifest = project.manifest
    runs = open_database(str(database), create=False)
    records = [stored.record for stored in runs.query(RecordFilter(design_digest=manifest.design_digest))]
    runs.close()
    (design,) = (record for record in records if record.scope == "design")
    assert (design.design, design.board, design.subnet_digest) == (manifest.top, manifest.board, manifest.subnet_digest)
    inputs = from_text(design.inputs or "")
    assert (inputs.config, inputs.clock_mhz, inputs.launch) == (manifest.config, manifest.clock_mhz, None)
    assert (design.lut, design.ff, design.dsp, design.resource_stage) == (lut, ff, dsp, "estimated")
    loops = {f"{(each.module or '').partition('_')[0]}": each for each in records if each.scope == "loop"}
    assert all(each.initiation_interval and each.pipeline_depth for each in loops.values())
    assert {each.scope for each in records} == {"design", "module", "loop"}

    # The estimate is narrower where csynth says something, and says what it rests on.
    after = answer("estimate", project.directory, "--database", database)
    for name in ("lut", "ff", "dsp"):
        assert width(used(after, name)) < width(used(before, name)), name
        assert "csynth of this design (Vitis HLS 2024.1)" in after["basis"][name]
    # Fewer than nine kernels stand behind the clock's interval and the structure's own resources, and it is said.
    assert {name: after[name]["assumed"] for name in ("cycles", "clock_mhz", "latency_ms")} == {
        "cycles": False,
        "clock_mhz": True,
        "latency_ms": True,
    }
    assert used(before, "lut")["assumed"]
    text = aebert("estimate", project.directory, "--database", database).stdout
    (latency,) = (line for line in text.splitlines() if line.startswith("latency"))
    assert " (~" in latency.partition(" ms")[0]
    assert " (~" not in latency.partition("; ")[2].partition(" cycles")[0]
    assert width(after["cycles"]) <= width(before["cycles"]) * (1 + 1e-9)  # both are the closed form's
    assert "from csynth (Vitis HLS 2024.1)" in after["basis"]["cycles"]

    # And right: it is what timed emulation counts with the same II and depths, from the database alone.
    shutil.rmtree(project.directory / "build" / "hls")
    timed = answer("emulate", project.directory, "--timed", "--database", database)
    assert after["cycles"]["low"] <= timed["cycles"] <= after["cycles"]["high"]
    assert not before["cycles"]["low"] <= timed["cycles"] <= before["cycles"]["high"]
    assert timed["cycles"] != answer("emulate", project.directory, "--timed", "--no-runs")["cycles"]
    measured = answer("measure", project.directory, "--database", database)
    assert (measured["cycles"], measured["basis"].rpartition(": ")[2]) == (timed["cycles"], "csynth, scheduled")

    # The schedule says what synthesis made of each loop, and is judged by it.
    schedule = answer("schedule", project.directory, "--database", database)
    assert (schedule["source"], schedule["synthesis"]["tool"]) == ("csynth", "Vitis HLS 2024.1")
    table = estimated_schedules(manifest.config, source_pragmas(project.sources()))
    assert {loop["name"]: (loop["ii"], loop["depth"]) for loop in schedule["synthesis"]["loops"]} == {
        each.loop: (each.ii, each.depth + DEEPER) for each in table if each.ii
    }


def test_a_loop_that_synthesis_slows_down_fails_the_schedule(project: Project, tmp_path: Path) -> None:
    database = tmp_path / "runs.sqlite"
    write_stand_in(project, ii={"requantise.Vectors": 3}, lut=10_000, ff=10_000, dsp=100)
    assert aebert("runs", "import", project.directory, "--database", database).exit_code == 0
    done = aebert("schedule", project.directory, "--database", database)
    assert done.exit_code == 1
    (line,) = (line for line in done.stdout.splitlines() if line.endswith("asks for II 1"))
    assert line.startswith("requantise.Vectors")
    at_another = answer("schedule", project.directory, "--database", database, "--clock", "50")
    assert (at_another["source"], at_another["synthesis"]) == ("scheduled", None)


def test_a_search_on_devices_counts_with_the_synthesis(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "runs.sqlite"
    write_stand_in(project, deeper=DEEPER, lut=10_000, ff=10_000, dsp=100)
    assert aebert("runs", "import", project.directory, "--database", database).exit_code == 0
    shutil.rmtree(project.directory / "build" / "hls")
    plans: list[Plan] = []
    monkeypatch.setattr(measurer, "Farm", lambda plan, devices, note: plans.append(plan))
    runs = open_database(str(database), create=False)
    DeviceFarm.of(project, ["emulator"], runs, print, FarmSettings(tokens=8))
    runs.close()
    session = Session(Opening(plans[0], "emulator"))
    assert isinstance(session.device, ClockedDevice)
    assert session.device.basis.endswith("csynth, scheduled")
    session.close()


def test_a_clock_that_csynth_does_not_reach_is_believed(project: Project, tmp_path: Path) -> None:
    database = tmp_path / "runs.sqlite"
    write_stand_in(project, estimated_ns=8.0, lut=10_000, ff=10_000, dsp=100)
    assert aebert("runs", "import", project.directory, "--database", database).exit_code == 0
    after = answer("estimate", project.directory, "--database", database)
    assert after["clock_mhz"]["high"] == pytest.approx(125)
    assert "csynth estimates 125 MHz" in after["basis"]["clock"]


def test_importing_twice_stores_nothing_new(project: Project, tmp_path: Path) -> None:
    write_stand_in(project, lut=10_000, ff=10_000, dsp=100)
    database = tmp_path / "runs.sqlite"
    first = answer("runs", "import", project.directory, "--database", database)
    again = answer("runs", "import", project.directory, "--database", database)
    assert first["added"] > 5
    assert (again["added"], again["known"]) == (0, first["added"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "<TopModelName>aebert_kernel<",
            "<TopModelName>other<",
            "reports of other, the project's kernel is aebert_kernel",
        ),
        ("<Part>xcu200", "<Part>xcu280", "is of part xcu280"),
    ],
)
def test_reports_of_something_else_are_refused(project: Project, tmp_path: Path, old: str, new: str, said: str) -> None:
    file = write_stand_in(project, lut=10_000, ff=10_000, dsp=100)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    done = aebert("runs", "import", project.directory, "--database", tmp_path / "runs.sqlite")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "runs.sqlite").exists()


def test_a_mistyped_option_leads_to_the_database() -> None:
    done = aebert("runs", "list", "--db", "x.sqlite")
    assert done.exit_code == 2
    assert "--database" in done.stderr


def test_the_old_name_of_fit_cost_still_works_with_a_notice(tmp_path: Path) -> None:
    done = aebert("calibrate", "--board", "u200", "-o", tmp_path / "m.json", "--database", tmp_path / "none.sqlite")
    assert "aebert calibrate is now called aebert fit-cost" in done.stderr
    assert "no run database" in done.stderr
