"""Hardware in the loop for ``aebert search``: the one place where search and host meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.cli.output import Output
from aebert.errors import AebertError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aebert.design.design import Design
    from aebert.search.measurer import Measurer
    from codegen.project import Project


@dataclass(frozen=True)
class DeviceSetup:
    """``measurer`` opens the devices; all of them run ``design``."""

    measurer: AbstractContextManager[Measurer]
    design: Design


def device_farm(
    devices: str,
    project: Path | None,
    model: Path,
    run: Path,
    board: str | None,
    database: str | None,
    tokens: int | None,
    scheduler: str | None,
    output: Output,
) -> DeviceSetup:
    """``devices``: names separated by commas. Without ``project`` one is generated for ``board``, beside ``run``.

    Raises AebertError when neither project nor board is given, or the project's board is not known here.
    """
    from aebert.boards import load_board
    from aebert.design.design import Design
    from codegen.generate_from_folder import generate
    from codegen.project import load_project

    if project is None:
        if board is None:
            raise AebertError("--hil needs a design; give --project, or --board to generate one")
        project = run.parent / f"{run.name}-project"
        if not project.exists():
            output.note(f"generating {project}")
            generate(model, project, board=board)
    loaded = load_project(project)
    manifest = loaded.manifest
    design = Design(manifest.config, load_board(board or manifest.board), manifest.clock_mhz, manifest.compute_units)
    if design.digest != manifest.design_digest:
        raise AebertError(f"{project}: its design is not for board {design.board.name}; leave --board out or fix it")
    return DeviceSetup(_open(loaded, devices.split(","), database, tokens, scheduler, output), design)


@contextmanager
def _open(
    project: Project, names: list[str], database: str | None, tokens: int | None, scheduler: str | None, output: Output
) -> Iterator[Measurer]:
    from aebert.records import open_database
    from host.farm.measurer import DeviceFarm, FarmSettings

    records = open_database(database)
    try:
        with DeviceFarm.of(project, names, records, output.note, FarmSettings(tokens=tokens), scheduler) as farm:
            yield farm
    finally:
        records.close()
