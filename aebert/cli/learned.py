"""What a run database says about a design: for the commands that predict, without being asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from aebert.cli.runs import database_option
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.cost_model.fitted_model import FittedModel
    from aebert.cost_model.synthesis import Synthesis
    from aebert.design.design import Design
    from aebert.records.database import StoredRecord

# Beyond this a fit takes minutes: 'aebert fit-cost -o FILE' once, and --model FILE.
MOST_FITTED = 500

learned_option = click.option("--no-runs", is_flag=True, help="Leave aside what the run database says.")


@dataclass(frozen=True)
class Learned:
    """``model``: fitted to the runs of the board; ``synthesis``: the design's own. None where there is none."""

    model: FittedModel | None = None
    synthesis: Synthesis | None = None


def learned(design: Design, database: str | None, ignore: bool = False, may_be_new: bool = False) -> Learned:
    """From the run database, if there is one. Raises AebertError for a database that was named and is none.

    ``may_be_new``: the command makes a named database that is not there.
    """
    from aebert.cost_model.fit_records import fit_records
    from aebert.cost_model.synthesis import synthesis_of

    records = _stored(database, ignore, may_be_new)
    usable = [stored for stored in records if stored.record.design_digest is not None]
    try:
        model = fit_records(usable, design.board.name).model if 0 < len(usable) <= MOST_FITTED else None
    except AebertError:  # no run of this board yet
        model = None
    return Learned(model, synthesis_of(records, design.digest))


def stored_synthesis(
    design_digest: str, database: str | None, ignore: bool = False, may_be_new: bool = False
) -> Synthesis | None:
    """The design's own, as `learned` finds it."""
    from aebert.cost_model.synthesis import synthesis_of

    return synthesis_of(_stored(database, ignore, may_be_new), design_digest)


def _stored(database: str | None, ignore: bool, may_be_new: bool) -> list[StoredRecord]:
    from aebert.records.database import NO_DATABASE, open_database

    if ignore:
        return []
    try:
        runs = open_database(database, create=False)
    except AebertError as error:
        if (database is None or may_be_new) and NO_DATABASE in str(error):
            return []
        raise
    try:
        return runs.query()
    finally:
        runs.close()


__all__ = ["Learned", "database_option", "learned", "learned_option", "stored_synthesis"]
