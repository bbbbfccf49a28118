"""The farm as a search uses it: finalists in, measured latencies out, run records filed as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from aebert.cost_model.measurer import Finalist, MeasuredCandidate
from aebert.cost_model.synthesis import synthesis_of
from aebert.models import load_encoder
from aebert.models.calibration_text import read_texts
from aebert.models.host_model import load_host_model
from aebert.quantisation.fixed_scales import FixedScales
from aebert.quantisation.quantise import quantise_with_scales
from aebert.records.database import RunDatabase
from aebert.timing.loop_schedules import LoopFigures
from codegen.project import Project
from codegen.toolchains.emulator import build_emulator
from codegen.toolchains.timed import TIMED_OPTIONS
from host.farm.devices import farm_devices
from host.farm.farm import DeviceLog, Farm, Measured, NoDeviceLeftError
from host.farm.local_device import MeasuringDevice
from host.farm.messages import Plan
from host.measure import run_record

WARM_UP = 2
REPEATS = 20
EMULATED = ("emulator", "pynq-emulator")


@dataclass(frozen=True)
class FarmSettings:
    """``tokens`` of the one sequence of a launch; None: the design's longest. On boards ``repeats`` launches count."""

    tokens: int | None = None
    warm_up: int = WARM_UP
    repeats: int = REPEATS
    launch_deadline_s: float | None = None


def project_scales(project: Project) -> FixedScales:
    """The scales that subnets are quantised with: those of the project's own subnet, on the text this package ships.

    Seconds of work for a small model, a minute for BERT-base.
    """
    encoder = load_encoder(project.model_directory)
    model = load_host_model(project.model_directory)
    longest = min(project.manifest.config.max_length, encoder.shape.max_positions)
    return FixedScales.of(
        encoder, quantise_with_scales(encoder, model.embed_texts(model.tokenise(read_texts(), max_tokens=longest)))
    )


def farm_plan(
    project: Project,
    settings: FarmSettings,
    scales: FixedScales | None = None,
    recorded: Mapping[str, LoopFigures] | None = None,
) -> Plan:
    """``scales`` defaults to `project_scales`; the length to the longest that design and model both take."""
    longest = min(project.manifest.config.max_length, project.quantised.shape.max_positions)
    return Plan(
        project.directory.absolute(),
        scales or project_scales(project),
        (settings.tokens or longest,),
        settings.warm_up,
        settings.repeats,
        settings.launch_deadline_s,
        project.trust_changes,
        recorded,
    )


class DeviceFarm:
    """`aebert.cost_model.measurer.Measurer` on ``devices``, all with the design of ``project``.

    Every figure is in the database before `measure` goes on, so nothing is lost with a device. ``note`` is told what
    goes wrong. Raises AebertError when no device can be used.
    """

    def __init__(
        self,
        project: Project,
        devices: Sequence[MeasuringDevice],
        plan: Plan,
        database: RunDatabase,
        note: Callable[[str], None],
    ) -> None:
        self._project = project
        self._database = database
        self._note = note
        if any(device.name.partition(":")[0] in EMULATED for device in devices):
            build_emulator(project.sources(), TIMED_OPTIONS)  # once, and not in each of the devices' processes
        self._farm = Farm(plan, devices, note)

    @classmethod
    def of(
        cls,
        project: Project,
        names: Sequence[str],
        database: RunDatabase,
        note: Callable[[str], None],
        settings: FarmSettings | None = None,
        scheduler: str | None = None,
    ) -> DeviceFarm:
        """Names as in `host.farm.devices.farm_devices`. Emulators count with the design's synthesis in ``database``."""
        devices = farm_devices(names, scheduler)
        known = synthesis_of(database.query(), project.manifest.design_digest)
        plan = farm_plan(project, settings or FarmSettings(), recorded=None if known is None else known.loops)
        return cls(project, devices, plan, database, note)

    def __enter__(self) -> DeviceFarm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def logs(self) -> tuple[DeviceLog, ...]:
        """What each device did."""
        return self._farm.logs

    def measure(self, finalists: Sequence[Finalist]) -> list[MeasuredCandidate]:
        """In the order of ``finalists``. When the last device is lost, what was measured until then is returned after a
        note; raises AebertError when that is nothing.
        """
        found: dict[int, MeasuredCandidate] = {}
        try:
            for measured in self._farm.run([finalist.directory for finalist in finalists]):
                self._file(measured)
                found[measured.number] = self._measurement(finalists[measured.number], measured)
        except NoDeviceLeftError as error:
            if not found:
                raise
            self._note(f"{error}; {len(found)} of {len(finalists)} were measured before, and are kept")
        return [found[number] for number in sorted(found)]

    def _measurement(self, finalist: Finalist, measured: Measured) -> MeasuredCandidate:
        latency = measured.measurement
        return MeasuredCandidate(
            candidate=finalist.candidate,
            latency_ms=latency.kernel_ms.median,
            source=latency.source,
            device=measured.device,
            design=self._project.manifest.design_digest,
        )

    def close(self) -> None:
        """Gives all devices back."""
        self._farm.close()

    def _file(self, measured: Measured) -> None:
        self._database.add([run_record(self._project, measured.measurement)])
