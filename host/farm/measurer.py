"""The farm as a search uses it: finalists in, measured latencies out, run records filed as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from aebert.calibration import read_texts
from aebert.models import load_encoder
from aebert.models.host import load_host_model
from aebert.quantisation.fixed_scales import FixedScales
from aebert.quantisation.quantise import quantise_with_scales
from aebert.records import RunDatabase
from aebert.search.measurer import Finalist, Measurement
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


def farm_plan(project: Project, settings: FarmSettings, scales: FixedScales | None = None) -> Plan:
    """``scales`` defaults to `project_scales`; the length to the longest that design and model both take."""
    longest = min(project.manifest.config.max_length, project.quantised.shape.max_positions)
    return Plan(
        project.directory.absolute(),
        scales or project_scales(project),
        (settings.tokens or longest,),
        settings.warm_up,
        settings.repeats,
        settings.launch_deadline_s,
    )


class DeviceFarm:
    """`aebert.search.measurer.Measurer` on ``devices``, all with the design of ``project``.

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
            build_emulator(project.directory, TIMED_OPTIONS)  # once, and not in each of the devices' processes
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
        """Names as in `host.farm.devices.farm_devices`."""
        devices = farm_devices(names, scheduler)
        return cls(project, devices, farm_plan(project, settings or FarmSettings()), database, note)

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

    def measure(self, finalists: Sequence[Finalist]) -> list[Measurement]:
        """In the order of ``finalists``. When the last device is lost, what was measured until then is returned after a
        note; raises AebertError when that is nothing.
        """
        found: dict[int, Measurement] = {}
        try:
            for measured in self._farm.run([finalist.directory for finalist in finalists]):
                self._file(measured)
                found[measured.number] = self._measurement(finalists[measured.number], measured)
        except NoDeviceLeftError as error:
            if not found:
                raise
            self._note(f"{error}; {len(found)} of {len(finalists)} were measured before, and are kept")
        return [found[number] for number in sorted(found)]

    def _measurement(self, finalist: Finalist, measured: Measured) -> Measurement:
        latency = measured.result.measurement
        return Measurement(
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
        record = run_record(self._project, measured.result.measurement)
        self._database.add([replace(record, subnet_digest=measured.result.subnet_digest)])
