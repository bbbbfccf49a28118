"""A device of another machine: its process runs on a worker of a Dask cluster, which passes calls on.

The machines must see project and subnets under the same paths, as for the search's own workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar, cast

import distributed

from host.devices.faults import DeadlineExceededError, DeviceFault
from host.farm.local_device import OPEN_DEADLINE_S, SUBNET_DEADLINE_S, LocalDevice
from host.farm.messages import Plan
from host.measure import Measurement

# The worker enforces the deadlines of its device; beyond this the worker itself is lost.
_NETWORK_S = 60.0

Answer = TypeVar("Answer", covariant=True)


class Future(Protocol[Answer]):
    """What Dask's ActorFuture is here."""

    def result(self, timeout: float | None = None) -> Answer: ...


class DeviceActor(Protocol):
    """A `LocalDevice` on a worker, as Dask shows it here."""

    def open(self, plan: Plan) -> Future[object]: ...

    def measure(self, subnet: Path) -> Future[object]: ...

    def abort(self) -> Future[object]: ...

    def close(self) -> Future[object]: ...


class ClusterDevice:
    """The device that ``device`` names on the worker that ``worker`` names: its name, its host or its address."""

    def __init__(
        self,
        client: distributed.Client,
        device: str,
        worker: str,
        subnet_deadline_s: float = SUBNET_DEADLINE_S,
    ) -> None:
        self.name = f"{device}@{worker}"
        self._client = client
        self._device = device
        self._worker = worker
        self._subnet_deadline_s = subnet_deadline_s
        self._actor: DeviceActor | None = None

    def open(self, plan: Plan) -> None:
        """Raises DeviceFault when there is no such worker, or its device cannot be had."""
        address = self._address()
        # Kept: the actor lives on its worker for as long as this future is held.
        self._made = self._client.submit(
            LocalDevice,
            self._device,
            subnet_deadline_s=self._subnet_deadline_s,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            actor=True,
        )
        try:
            # Dask gives a stand-in whose methods return futures.
            actor = cast("DeviceActor", self._made.result(timeout=_NETWORK_S))
        except (OSError, TimeoutError) as error:
            raise self._lost(error) from None
        self._actor = actor
        self._answer(actor.open(plan), OPEN_DEADLINE_S)

    def measure(self, subnet: Path) -> Measurement:
        if self._actor is None:
            raise DeviceFault(f"{self.name}: closed")
        result = self._answer(self._actor.measure(subnet), self._subnet_deadline_s)
        if not isinstance(result, Measurement):
            raise TypeError(f"{self.name} answered {type(result).__name__}")
        return result

    def abort(self) -> None:
        """Has the worker kill the device's process."""
        if self._actor is not None:
            self._actor.abort()

    def close(self) -> None:
        actor, self._actor = self._actor, None
        if actor is None:
            return
        try:
            actor.close().result(timeout=_NETWORK_S)
        except (OSError, TimeoutError, ValueError):
            return  # the worker is gone, and its device's process with it

    def _answer(self, future: Future[object], deadline_s: float) -> object:
        try:
            return future.result(timeout=deadline_s + _NETWORK_S)
        except TimeoutError:
            raise DeadlineExceededError(f"{self.name}: its worker gave no answer within {deadline_s:g} s") from None
        except DeviceFault as fault:
            raise DeviceFault(f"worker {self._worker}: {fault}") from None
        except (OSError, ValueError) as error:
            raise self._lost(error) from None

    def _address(self) -> str:
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        for address, facts in workers.items():
            if self._worker in (address, str(facts["name"]), facts["host"]):
                return str(address)
        known = ", ".join(str(facts["name"]) for facts in workers.values()) or "none"
        raise DeviceFault(f"{self.name}: the cluster has no worker {self._worker!r}; there are {known}")

    def _lost(self, error: Exception) -> DeviceFault:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return DeviceFault(f"{self.name}: its worker is lost ({reason})")
