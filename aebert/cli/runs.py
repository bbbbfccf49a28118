"""``aebert runs``: the database of measured facts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.names import complete_board
from aebert.cli.output import current_output
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.records.database import RunDatabase, StoredRecord
    from aebert.records.record import RunRecord, Source
    from aebert.records.transfer import ExportFormat

SOURCES = ("emulated", "csynth", "cosim", "rtl_sim", "hw_emu", "hw", "published", "yosys")
FORMATS = ("csv", "parquet", "jsonl")
_SHOWN_REFUSALS = 5

database_option = click.option(
    "--database",
    metavar="URL",
    envvar="AEBERT_DATABASE",
    help="SQLAlchemy URL or SQLite file [default: AEBERT_DATABASE, else aebert_runs.sqlite in this folder].",
)
source_option = click.option("--source", type=click.Choice(SOURCES), help="Only records from this source.")
design_option = click.option("--design", metavar="NAME", help="Only records of this design.")
board_option = click.option(
    "--board", metavar="NAME", shell_complete=complete_board, help="Only records of this board."
)


@click.group(name="runs")
def command() -> None:
    """Measured facts (reports, emulations, board runs) in an SQL database.

    Example: aebert runs import build/reports --board u200 && aebert runs list --source csynth
    """


@command.command(name="import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@database_option
@click.option("--design", metavar="NAME", help="Name of the design, instead of the report's top function.")
@click.option("--design-digest", metavar="SHA256", help="Digest of the project the reports are of.")
@click.option("--subnet-digest", metavar="SHA256", help="Digest of the subnet that ran.")
@click.option("--board", metavar="NAME", shell_complete=complete_board, help="Board the figures are for.")
@click.option(
    "--sequence-length", type=click.IntRange(min=1), metavar="TOKENS", help="Tokens of the sequence that ran."
)
@click.option("--workload", metavar="TEXT", help="What ran, when it is not an encoder.")
@click.option("--measured-by", metavar="NAME", help="Who measured.")
@click.option("--measured-at", metavar="TIME", help="When it was measured, ISO 8601 in UTC.")
@click.option("--note", metavar="TEXT", help="A remark stored with every record.")
@click.option("--show-refused", is_flag=True, help="List every file that is no report, with the reason.")
def import_command(
    paths: tuple[Path, ...],
    database: str | None,
    design: str | None,
    design_digest: str | None,
    subnet_digest: str | None,
    board: str | None,
    sequence_length: int | None,
    workload: str | None,
    measured_by: str | None,
    measured_at: str | None,
    note: str | None,
    show_refused: bool,
) -> None:
    """Store the facts in reports, folders of reports, projects, or JSON Lines of records.

    A project folder brings its manifest: its reports are stored with what the cost model needs, set beside what was
    predicted, and used by estimate, emulate --timed and search from then on.

    Example: aebert build project --tool vitis_hls && aebert runs import project
    """
    from aebert.cli.project_import import comparison, is_project, read_project
    from aebert.records.database import open_database
    from aebert.records.from_reports import ImportContext
    from aebert.records.import_files import read_files

    output = current_output()
    context = ImportContext(
        design=design,
        design_digest=design_digest,
        subnet_digest=subnet_digest,
        board=board,
        sequence_length=sequence_length,
        workload=workload,
        measured_by=measured_by,
        measured_at=measured_at,
        note=note,
    )
    projects = [path for path in paths if is_project(path)]
    found = read_files([path for path in paths if path not in projects], context)
    for project in projects:
        found += read_project(project, context)
    if not found.records:
        raise AebertError(f"{paths[0]}: no report with a fact to record; {_refusals(found.refused)}")
    stored = open_database(database)
    before = stored.query() if projects else []
    result = stored.add(found.records)
    after = stored.query() if projects else []
    stored.close()
    output.result(
        f"{result.added} records added, {result.known} known already, from {found.used} files",
        added=result.added,
        known=result.known,
        files=found.used,
        without_facts=len(found.without_facts),
        refused=found.refused,
    )
    for project in projects:
        for line in comparison(project, before, after):
            output.result(line)
    if found.without_facts:
        output.note(f"{len(found.without_facts)} reports hold no fact to record (failed runs, clock tables)")
    shown = found.refused if show_refused else found.refused[:_SHOWN_REFUSALS]
    for reason in shown:
        output.note(f"refused {reason}")
    output.next(f"aebert estimate {shlex.quote(str(projects[0]))}" if projects else "aebert runs list")
    if len(shown) < len(found.refused):
        output.note(f"and {len(found.refused) - len(shown)} more files refused; --show-refused lists them")


def _refusals(refused: tuple[str, ...]) -> str:
    return f"first refusal: {refused[0]}" if refused else "give a report"


@command.command(name="list")
@database_option
@source_option
@design_option
@board_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N records.")
def list_command(
    database: str | None, source: Source | None, design: str | None, board: str | None, limit: int | None
) -> None:
    """One line per record: digest, source, design, tool, latency, resources.

    Example: aebert runs list --source emulated --limit 10
    """
    from aebert.records.database import RecordFilter

    output = current_output()
    records = _open(database).query(RecordFilter(source=source, design=design, board=board, limit=limit))
    for stored in records:
        output.result(_line(stored))
    output.result(records=[_facts(stored) for stored in records])
    output.note(f"{len(records)} records")
    if records:
        output.next(f"aebert runs show {records[0].digest[:12]}")


@command.command(name="show")
@click.argument("digest")
@database_option
def show_command(digest: str, database: str | None) -> None:
    """Everything about one record; DIGEST may be its first digits.

    Example: aebert runs show 3f9a02c1
    """
    output = current_output()
    facts = _facts(_open(database).get(digest))
    width = max(map(len, facts))
    for name, value in facts.items():
        output.result(f"{name:{width}}  {value}")
    output.result(record=facts)


@command.command(name="export")
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by the file's suffix, else jsonl.")
@database_option
@source_option
@design_option
@board_option
def export_command(
    path: Path | None,
    form: str | None,
    database: str | None,
    source: Source | None,
    design: str | None,
    board: str | None,
) -> None:
    """Write records as CSV, Parquet or JSON Lines; without -o to standard output (not Parquet).

    Example: aebert runs export -o runs.csv --source emulated
    """
    from aebert.records import transfer
    from aebert.records.database import RecordFilter

    output = current_output()
    chosen = _format(path, form)
    if path is None and chosen == "parquet":
        raise AebertError("Parquet is binary; give a file with -o")
    records = _open(database).query(RecordFilter(source=source, design=design, board=board))
    if path is None:
        text = transfer.to_csv(records) if chosen == "csv" else transfer.to_jsonl(records)
        output.result(text.removesuffix("\n") or None, records=[_facts(stored) for stored in records])
        return
    transfer.export_records(records, path, chosen)
    output.result(records=len(records), format=chosen)
    output.wrote(path)


def _format(path: Path | None, form: str | None) -> ExportFormat:
    name = form or (path.suffix.removeprefix(".").lower() if path is not None and path.suffix else "jsonl")
    formats: dict[str, ExportFormat] = {"csv": "csv", "parquet": "parquet", "jsonl": "jsonl"}
    if name in formats:
        return formats[name]
    raise AebertError(f"{path}: no format by the name {name!r}; use --format {', '.join(FORMATS)}")


def _open(database: str | None) -> RunDatabase:
    from aebert.records.database import open_database

    return open_database(database, create=False)


def _facts(stored: StoredRecord) -> dict[str, object]:
    """What is known of a record, by field."""
    from dataclasses import asdict

    facts: dict[str, object] = {
        "digest": stored.digest,
        "recorded_at": stored.recorded_at,
        "recorded_by": stored.recorded_by,
    }
    return facts | {name: value for name, value in asdict(stored.record).items() if value is not None}


def _line(stored: StoredRecord) -> str:
    record = stored.record
    name = record.design if record.module is None else f"{record.design}/{record.module}"
    tool = " ".join(part for part in (record.tool, record.tool_version) if part)
    place = record.board or record.part or "-"
    facts = " ".join(filter(None, (_latency(record), _resources(record))))
    return f"{stored.digest[:12]}  {record.source:9}  {name}  [{place}]  {tool or '-'}  {facts or '-'}"


def _latency(record: RunRecord) -> str:
    ends = [value for value in (record.cycles_min, record.cycles_max) if value is not None]
    cycles = ends or ([] if record.cycles is None else [record.cycles])
    if cycles:
        return "..".join(str(value) for value in dict.fromkeys(cycles)) + " cycles"
    if record.latency_ms is not None:
        return f"{record.latency_ms:g} ms"
    return "" if record.clock_achieved_mhz is None else f"{record.clock_achieved_mhz:.1f} MHz"


def _resources(record: RunRecord) -> str:
    counts = {"LUT": record.lut, "FF": record.ff, "DSP": record.dsp, "BRAM18": record.bram_18k, "URAM": record.uram}
    return " ".join(f"{name} {count}" for name, count in counts.items() if count is not None)
