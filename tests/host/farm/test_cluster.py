"""Devices of other machines: the same farm through the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aebert.cost_model.measurer import Finalist
from aebert.models import load_encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.subnet import make_record, write_subnet
from aebert.records.database import open_database
from aebert.support.errors import AebertError
from codegen.project import Project
from host.farm.devices import farm_devices
from host.farm.measurer import DeviceFarm, FarmSettings, farm_plan

distributed = pytest.importorskip("distributed")

pytest_plugins = ["tests.support.host_fixtures"]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of one worker, in this process."""
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=None, threads_per_worker=2
    ) as cluster:
        yield cluster.scheduler_address


def test_a_device_of_a_worker_measures_as_one_of_this_machine_and_others_go_on_without_lost_ones(
    tiny_project: Project, scheduler: str, tmp_path: Path
) -> None:
    source = load_encoder(tiny_project.model_directory)
    record = make_record(source, source.digest, "vector:2x1", "magnitude", "none", 0, {})
    write_subnet(tiny_project.model_directory, tmp_path / "subnet", source, record)
    finalist = Finalist(Candidate("vector:2x1", (1,)), tmp_path / "subnet")
    plan = farm_plan(tiny_project, FarmSettings(tokens=16))
    database = open_database(str(tmp_path / "runs.sqlite"))
    found = {}
    for names in (["emulator"], ["emulator@0", "emulator@elsewhere", "xrt:0@0"]):
        notes: list[str] = []
        with DeviceFarm(tiny_project, farm_devices(names, scheduler), plan, database, notes.append) as farm:
            (found[names[0]],) = farm.measure([finalist])
    assert found["emulator@0"].latency_ms == found["emulator"].latency_ms
    assert found["emulator@0"].device == "emulator@0"
    unknown, without_bitstream = notes
    assert unknown.startswith("emulator@elsewhere: the cluster has no worker 'elsewhere'; there are 0")
    assert without_bitstream.startswith("worker 0: xrt:0: ")
    assert "no bitstream" in without_bitstream


def test_names_that_mean_nothing_are_refused() -> None:
    with pytest.raises(AebertError, match="device 'zedboard': not known; there are emulator, "):
        farm_devices(["emulator", "zedboard"])
    with pytest.raises(AebertError, match="'xrt:0@node7': is of another machine; give the address"):
        farm_devices(["xrt:0@node7"])
    with pytest.raises(AebertError, match="none given"):
        farm_devices([])
