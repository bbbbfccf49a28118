"""A farm of devices: every subnet is measured on the one design, whatever happens to a device."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aebert.cost_model.measurer import Finalist, MeasuredCandidate
from aebert.cost_model.run_inputs import LaunchShape, from_text
from aebert.models import load_encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.prune import prune_encoder
from aebert.pruning.subnet import make_record, write_subnet
from aebert.pruning.zero_patterns import parse_pattern
from aebert.records.database import RunDatabase, open_database
from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from codegen.subnet_images import SubnetImages
from codegen.toolchains.emulator import build_emulator
from codegen.toolchains.timed import TIMED_OPTIONS
from host.boards.conditions import Conditions
from host.devices.faults import DeviceFault
from host.emulated.board_process import Fault
from host.farm.farm import Farm
from host.farm.local_device import LocalDevice
from host.farm.measurer import DeviceFarm, FarmSettings, farm_plan
from host.farm.messages import Plan
from host.measure import Measurement, distribution
from tests.support.random_quantised import random_shape

pytest_plugins = ["tests.support.host_fixtures"]

NO_SENSORS = Conditions(0, None, None, None, None, "no sensors")
PATTERN = parse_pattern("vector:2x1")
RATIOS = (0.0, 0.25, 0.5, 0.75)
TOKENS = 16


@pytest.fixture(scope="module")
def finalists(tiny_project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[Finalist]:
    """Subnets of the project's model, from dense to sparse."""
    root = tmp_path_factory.mktemp("finalists")
    source = load_encoder(tiny_project.model_directory)
    made = []
    for number, ratio in enumerate(RATIOS):
        encoder = prune_encoder(source, PATTERN, ratio).encoder
        record = make_record(encoder, source.digest, str(PATTERN), "magnitude", "none", 0, {})
        write_subnet(tiny_project.model_directory, root / str(number), encoder, record)
        made.append(Finalist(Candidate(str(PATTERN), (number,)), root / str(number)))
    return made


@pytest.fixture(scope="module")
def plan(tiny_project: Project) -> Plan:
    build_emulator(tiny_project.sources(), TIMED_OPTIONS)
    return farm_plan(tiny_project, FarmSettings(tokens=TOKENS, launch_deadline_s=5.0))


@dataclass
class Told:
    """What a farm said, and the records it kept."""

    database: RunDatabase
    notes: list[str] = field(default_factory=list)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(open_database(str(tmp_path / "runs.sqlite")))


def farm(project: Project, plan: Plan, told: Told, *devices: LocalDevice) -> DeviceFarm:
    return DeviceFarm(project, devices, plan, told.database, told.notes.append)


@pytest.fixture(scope="module")
def alone(
    tiny_project: Project, plan: Plan, finalists: list[Finalist], tmp_path_factory: pytest.TempPathFactory
) -> list[MeasuredCandidate]:
    """What one sound device says."""
    told = Told(open_database(str(tmp_path_factory.mktemp("alone") / "runs.sqlite")))
    with farm(tiny_project, plan, told, LocalDevice("emulator")) as one:
        found = one.measure(finalists)
    assert told.notes == []
    records = [stored.record for stored in told.database.query()]
    assert len(records) == len(RATIOS)
    assert {record.latency_ms for record in records} == {measurement.latency_ms for measurement in found}
    assert {record.subnet_digest for record in records} == {
        load_encoder(finalist.directory).digest for finalist in finalists
    }
    assert {record.design_digest for record in records} == {tiny_project.manifest.design_digest}
    assert {record.source for record in records} == {"emulated"}
    config = tiny_project.manifest.config
    for finalist in finalists:
        encoder = load_encoder(finalist.directory)
        (record,) = (record for record in records if record.subnet_digest == encoder.digest)
        launch = from_text(record.inputs or "").launch
        assert launch is not None
        assert (launch.shape, launch.lengths) == (encoder.shape, (TOKENS,))
        image = SubnetImages(plan.scales, config).encode(encoder)[1]
        assert launch.tiles == image.tiles
    return found


def test_sparser_subnets_take_less_time_on_the_same_design(alone: list[MeasuredCandidate]) -> None:
    latencies = [measurement.latency_ms for measurement in alone]
    assert latencies == sorted(set(latencies), reverse=True)


def test_a_subnet_takes_as_long_as_in_a_project_of_its_own(
    tiny_project: Project, alone: list[MeasuredCandidate], finalists: list[Finalist], tmp_path: Path
) -> None:
    from host.emulated.timed_run import time_project
    from tests.support.projects import write_tiny_project

    own = load_project(write_tiny_project(finalists[2].directory, tmp_path / "project"))
    assert own.manifest.design_digest == tiny_project.manifest.design_digest
    assert time_project(own, [TOKENS]).latency_ms == pytest.approx(alone[2].latency_ms)


TAKEN_OUT = [
    ("emulator", Fault("die", after=2), "process died (signal 9)"),
    ("emulator", Fault("hang", after=1), "not done within 5 s"),
    ("emulator", Fault("flip_memory", port="results", byte=4), "not the integer reference's output"),
    ("pynq-emulator:0", Fault("lost_done", after=2), "its start or end was lost"),
    ("pynq-emulator:1", Fault("flip_memory", after=1, port="weights", byte=700), "weights read back differ"),
]


@pytest.mark.parametrize(("name", "fault", "message"), TAKEN_OUT, ids=[f"{item[1].kind}" for item in TAKEN_OUT])
def test_a_device_that_dies_hangs_or_lies_is_taken_out_and_its_work_done_elsewhere(
    tiny_project: Project,
    plan: Plan,
    finalists: list[Finalist],
    alone: list[MeasuredCandidate],
    told: Told,
    name: str,
    fault: Fault,
    message: str,
) -> None:
    with farm(tiny_project, plan, told, LocalDevice(name, faults=(fault,)), LocalDevice("emulator")) as both:
        found = both.measure(finalists)
        again = both.measure(finalists)
    assert [(each.candidate, each.latency_ms) for each in found] == [(e.candidate, e.latency_ms) for e in alone]
    assert {each.device for each in again} == {"emulator"}
    (note,) = told.notes
    assert message in note
    assert note.endswith("the device is taken out, its work is done elsewhere")
    assert (both.logs[0].fault, both.logs[1].fault) == (note.rpartition("; the device")[0], "")
    assert both.logs[1].measured == 2 * len(finalists) - both.logs[0].measured


def test_with_no_device_left_what_was_measured_is_kept(
    tiny_project: Project, plan: Plan, finalists: list[Finalist], told: Told
) -> None:
    dying = LocalDevice("emulator", faults=(Fault("die", after=4),))
    with farm(tiny_project, plan, told, dying) as one:
        assert len(one.measure(finalists)) == 2
        lost, none_left = told.notes
        assert "died (signal 9)" in lost
        assert none_left.startswith("no device is left: emulator: ")
        assert none_left.endswith("2 of 4 were measured before, and are kept")
        with pytest.raises(AebertError, match=r"^no device is left: emulator: .*died") as raised:
            one.measure(finalists)
        assert "\n" not in str(raised.value)
    assert len(told.database.query()) == 2


def test_devices_that_cannot_be_had_are_named_and_the_others_used(
    tiny_project: Project, plan: Plan, finalists: list[Finalist], alone: list[MeasuredCandidate], told: Told
) -> None:
    with farm(tiny_project, plan, told, LocalDevice("xrt:7"), LocalDevice("emulator")) as both:
        assert both.measure(finalists[:1]) == alone[:1]
    (note,) = told.notes
    assert "no bitstream" in note
    with pytest.raises(AebertError, match=r"no device is left: .*no bitstream"):
        farm(tiny_project, plan, told, LocalDevice("xrt:7"))


def test_a_damaged_subnet_is_left_out_and_no_device_lost(
    tiny_project: Project,
    plan: Plan,
    finalists: list[Finalist],
    alone: list[MeasuredCandidate],
    told: Told,
    tmp_path: Path,
) -> None:
    missing = Finalist(Candidate(str(PATTERN), (9,)), tmp_path / "nothing")
    with farm(tiny_project, plan, told, LocalDevice("emulator")) as one:
        found = one.measure([finalists[0], missing, finalists[3]])
        assert one.logs[0].fault == ""
    assert [each.latency_ms for each in found] == [alone[0].latency_ms, alone[3].latency_ms]
    (note,) = told.notes
    assert "nothing" in note


def test_a_process_that_does_not_answer_is_killed(tiny_project: Project, plan: Plan, finalists: list[Finalist]) -> None:
    slow = Fault("slow", seconds=60.0)
    device = LocalDevice("emulator", faults=(slow,), subnet_deadline_s=1.0)
    device.open(plan)
    began = time.monotonic()
    with pytest.raises(DeviceFault, match="emulator: no answer within 1 s; its process was killed"):
        device.measure(finalists[0].directory)
    assert time.monotonic() - began < slow.seconds / 2, "it was waited for"
    with pytest.raises(DeviceFault, match="closed"):
        device.measure(finalists[0].directory)


class Rehearsed:
    """A device without a process; ``fails_at`` are the subnets that it does not survive."""

    def __init__(self, name: str, fails_at: Sequence[str] = (), before: threading.Event | None = None) -> None:
        self.name = name
        self._fails_at = fails_at
        self._before = before
        self.tried: list[str] = []

    def open(self, plan: Plan) -> None:
        pass

    def measure(self, subnet: Path) -> Measurement:
        self.tried.append(subnet.name)
        if self._before is not None:
            assert self._before.wait(10)
        if subnet.name in self._fails_at:
            raise DeviceFault(f"{self.name}: lost")
        time.sleep(0.01)
        launch = LaunchShape(random_shape(1, 8, 1, 8), (1,), ((1,) * 6,))
        once = distribution([1.0])
        return Measurement("", "hw", "", 1.0, "", launch, "", None, once, None, None, None, NO_SENSORS)

    def abort(self) -> None:
        if self._before is not None:
            self._before.set()

    def close(self) -> None:
        pass


def test_a_subnet_that_breaks_two_devices_is_left_out_before_it_breaks_the_third(plan: Plan) -> None:
    notes: list[str] = []
    devices = [Rehearsed(str(number), ["2"]) for number in range(3)]
    with Farm(plan, devices, notes.append) as three:
        found = sorted(measured.number for measured in three.run([Path(str(number)) for number in range(8)]))
    assert found == [0, 1, 3, 4, 5, 6, 7]
    assert sum(device.tried.count("2") for device in devices) == 2
    assert sum(bool(log.fault) for log in three.logs) == 2
    assert "left out, as it failed elsewhere too" in notes[-1]


def test_work_that_comes_back_last_is_done_by_a_device_that_had_nothing_left_to_do(plan: Plan) -> None:
    gate = threading.Event()
    slow, quick = Rehearsed("slow", ["0"], before=gate), Rehearsed("quick")
    threading.Timer(0.3, gate.set).start()
    with Farm(plan, [slow, quick], lambda note: None) as both:
        found = {measured.number: measured.device for measured in both.run([Path("0"), Path("1"), Path("2")])}
    assert set(found) == {0, 1, 2}
    assert set(found.values()) == {"quick"}


def test_a_round_that_is_abandoned_ends_what_is_under_way(plan: Plan) -> None:
    gate = threading.Event()
    stuck, quick = Rehearsed("stuck", before=gate), Rehearsed("quick")
    with Farm(plan, [stuck, quick], lambda note: None) as both:
        round_ = both.run([Path(str(number)) for number in range(50)])
        assert next(round_).device == "quick"
        round_.close()
    assert gate.is_set()
    assert len(quick.tried) < 49
