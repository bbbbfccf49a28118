"""Files and folders to run records: HLS, Vivado and XRT reports, and JSON Lines of records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aebert.errors import AebertError
from aebert.hls_reports import Report
from aebert.hls_reports.model import CsynthReport, SynthesisSummary
from aebert.hls_reports.parse import parse_report_text
from aebert.hls_reports.reading import DEFAULT_LIMIT_BYTES, read_report_text
from aebert.records.from_reports import ImportContext, records_from_report
from aebert.records.record import RunRecord
from aebert.records.transfer import read_jsonl

WHOLE_DESIGN_XML = "csynth.xml"
Content = Report | tuple[RunRecord, ...]


@dataclass(frozen=True, slots=True)
class ImportedFiles:
    """Records found, how many files gave at least one, files that hold no fact, and refusals with their reason."""

    records: tuple[RunRecord, ...]
    used: int
    without_facts: tuple[Path, ...]
    refused: tuple[str, ...]


def read_files(paths: Sequence[Path], context: ImportContext, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> ImportedFiles:
    """Read files, and folders with all below them. A file named by itself must be a report or JSON Lines, or
    AebertError is raised; a file met in a folder may be anything, and is listed as refused."""
    records: list[RunRecord] = []
    without_facts: list[Path] = []
    refused: list[str] = []
    used = 0
    for path in paths:
        for files in _by_folder(path):
            outcomes = [(file, _try_read(file, limit_bytes, required=file == path)) for file in files]
            refused += [reason for _, reason in outcomes if isinstance(reason, str)]
            read = [(file, content) for file, content in outcomes if not isinstance(content, str)]
            top = _folder_top(read)
            for file, content in read:
                found = _records(file, content, context, top)
                records += found
                if found:
                    used += 1
                else:
                    without_facts.append(file)
    return ImportedFiles(tuple(records), used, tuple(without_facts), tuple(refused))


def _by_folder(path: Path) -> Iterator[list[Path]]:
    """The file itself, or the files of every folder below, sorted; links and hidden names are passed over."""
    if not path.is_dir():
        yield [path]
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
        yield [file for file in files if file.is_file() and not file.is_symlink()]


def _try_read(file: Path, limit_bytes: int, required: bool) -> Content | str:
    """What is in the file, or why it was refused."""
    try:
        text = read_report_text(file, limit_bytes)
        return read_jsonl(text) if text.text.lstrip().startswith("{") else parse_report_text(text)
    except AebertError as error:
        if required:
            raise
        return str(error)


def _folder_top(contents: Sequence[tuple[Path, Content]]) -> str | None:
    """The design that a folder of synthesis reports is about: a module's own report does not name it."""
    for file, report in contents:
        whole = isinstance(report, SynthesisSummary) or file.name == WHOLE_DESIGN_XML
        if whole and isinstance(report, SynthesisSummary | CsynthReport):
            return report.source.top
    return None


def _records(file: Path, content: Content, context: ImportContext, top: str | None) -> tuple[RunRecord, ...]:
    if isinstance(content, tuple):
        return content
    try:
        return records_from_report(content, context, top)
    except AebertError as error:
        raise AebertError(f"{file}: {error}") from None
