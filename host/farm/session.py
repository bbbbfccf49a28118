"""One device of a farm, from inside its process: opens the design once, then runs subnet after subnet on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aebert.numerics.reference import run_encoder
from aebert.pruning.subnet import read_subnet
from aebert.support.errors import AebertError
from codegen.project import load_project
from codegen.subnet_images import SubnetImages
from host.devices.faults import DeviceFault
from host.devices.open import open_accelerator
from host.devices.protocol import ClockedDevice, Device
from host.farm.messages import Opening
from host.measure import Measurement, measure_resident, random_residuals

# Compared bit for bit with the integer reference before a subnet is timed.
CHECKED_TOKENS = 8
# No time for power: a search measures latency, `aebert measure` the rest.
LOAD_SECONDS = 0.0


class Session:
    """Loads the project's design on the device and asks it for the known answer.

    Raises AebertError when the device cannot be had, and DeviceFault when it does not answer rightly.
    """

    def __init__(self, opening: Opening) -> None:
        plan = opening.plan
        self._plan = plan
        self._project = load_project(plan.project, trust_changes=plan.trust_changes)
        self._images = SubnetImages(plan.scales, self._project.manifest.config)
        self._accelerator = open_accelerator(
            self._project,
            opening.device,
            known_answer=True,
            clocked=True,
            deadline_s=plan.launch_deadline_s,
            recorded=plan.recorded,
        )
        for fault in opening.faults:
            if not isinstance(self.device, ClockedDevice):
                raise AebertError(f"{self.device.name}: faults can be rehearsed on emulated devices only")
            self.device.inject(fault)

    @property
    def device(self) -> Device:
        return self._accelerator.device

    def measure(self, subnet: Path) -> Measurement:
        """Raises DeviceFault when the device fails, AebertError when the subnet is damaged or does not fit."""
        encoder = read_subnet(subnet).encoder
        quantised, image = self._images.encode(encoder)
        self._accelerator.load(quantised, image)
        length = min(CHECKED_TOKENS, *self._plan.lengths)
        (residual,) = random_residuals(quantised.shape, [length])
        (output,) = self._accelerator.run([residual])
        if not np.array_equal(output, run_encoder(quantised, residual)):
            raise DeviceFault(f"{self.device.name}: not the integer reference's output on {length} tokens")
        return measure_resident(
            self._project, self._accelerator, self._plan.lengths, self._plan.warm_up, self._plan.repeats, LOAD_SECONDS
        )

    def close(self) -> None:
        """Gives the device back."""
        self.device.close()
