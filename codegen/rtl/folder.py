"""The RTL as files beside the project: for other tools, and for people."""

from __future__ import annotations

import shutil
from pathlib import Path

from aebert.support.atomic_files import write_text
from codegen.manifest import Manifest
from codegen.render import environment
from codegen.rtl.kernel import KernelRtl

RTL_FOLDER = "build/rtl"


def write_rtl(rtl: KernelRtl, manifest: Manifest, folder: Path) -> None:
    """One file per module, and a script that has Vivado synthesise them. What lay there is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in rtl.files.items():
        write_text(folder / name, text)
    values = {
        "files": tuple(rtl.files),
        "part": manifest.part,
        "period_ns": 1000 / manifest.clock_mhz,
        "top": manifest.top,
    }
    script = environment().get_template("rtl/vivado.tcl.j2").render(values)
    write_text(folder / "vivado.tcl", script)
