"""From the names that a user gives to the devices of a farm."""

from __future__ import annotations

from collections.abc import Sequence

from aebert.support.errors import AebertError
from host.devices.open import device_kinds
from host.farm.local_device import LocalDevice, MeasuringDevice

_CONNECT_S = "30s"


def farm_devices(names: Sequence[str], scheduler: str | None = None) -> list[MeasuringDevice]:
    """Each of ``names`` as in `host.devices.open.open_device`; with ``@WORKER``, on that worker of the Dask cluster at
    ``scheduler`` (tcp://HOST:PORT). Raises AebertError for names that mean nothing.
    """
    if not names:
        raise AebertError("devices: none given; name at least one, as in emulator or xrt:0,xrt:1")
    for name in names:
        device, _, worker = name.partition("@")
        if device.partition(":")[0] not in device_kinds():
            raise AebertError(f"device {name!r}: not known; there are {', '.join(device_kinds())}")
        if worker and scheduler is None:
            raise AebertError(f"device {name!r}: is of another machine; give the address of the Dask scheduler as well")
    here: list[MeasuringDevice] = [LocalDevice(name) for name in names if "@" not in name]
    there = [name.split("@", 1) for name in names if "@" in name]
    if not there:
        return here
    # Dask takes a second to import, and is an extra.
    import distributed

    from host.farm.cluster_device import ClusterDevice

    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = (str(error).splitlines() or ["no answer"])[0]
        raise AebertError(f"scheduler {scheduler}: {reason}; start one with 'dask scheduler'") from None
    return [*here, *(ClusterDevice(client, device, worker) for device, worker in there)]
