"""Hardware in the loop for ``aebert search``: the one place where search and host meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.cli.output import Output
from aebert.cli.trust import tell_trust
from aebert.search.options import SearchOptions
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aebert.cost_model.measurer import Measurer
    from aebert.design.design import Design
    from codegen.project import Project


@dataclass(frozen=True)
class DeviceSetup:
    """``measurer`` opens the devices; all of them run ``design``."""

    measurer: AbstractContextManager[Measurer]
    design: Design


def device_farm(options: SearchOptions, model: Path, run: Path, output: Output) -> DeviceSetup:
    """The devices of ``--hil``. Without ``--project`` one is generated for ``--board``, beside ``run``.

    Raises AebertError when neither project nor board is given, or the project's board is not known here.
    """
    from aebert.design.board import load_board
    from aebert.design.design import Design
    from codegen.project import load_project
    from codegen.step import generate

    assert options.hil is not None, "the caller has devices"
    project, board = options.project, options.board
    if project is None:
        if board is None:
            raise AebertError("--hil needs a design; give --project, or --board to generate one")
        project = run.parent / f"{run.name}-project"
        if not project.exists():
            output.note(f"generating {project}")
            generate(model, project, board=board)
    loaded = load_project(project, trust_changes=options.trust_changes)
    tell_trust(output, loaded)
    manifest = loaded.manifest
    design = Design(manifest.config, load_board(board or manifest.board), manifest.clock_mhz, manifest.compute_units)
    if design.digest != manifest.design_digest:
        raise AebertError(f"{project}: its design is not for board {design.board.name}; leave --board out or fix it")
    return DeviceSetup(_open(loaded, options.hil.split(","), options, output), design)


@contextmanager
def _open(project: Project, names: list[str], options: SearchOptions, output: Output) -> Iterator[Measurer]:
    from aebert.records.database import open_database
    from host.farm.measurer import DeviceFarm, FarmSettings

    records = open_database(options.database)
    settings = FarmSettings(tokens=options.tokens)
    try:
        with DeviceFarm.of(project, names, records, output.note, settings, options.scheduler) as farm:
            yield farm
    finally:
        records.close()
