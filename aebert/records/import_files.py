"""Files and folders to run records: HLS, Vivado and XRT reports, and JSON Lines of records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aebert.hls_reports import Report
from aebert.hls_reports.model import CsynthReport, SynthesisSummary
from aebert.hls_reports.no_reports import what_instead
from aebert.hls_reports.parse import parse_report_text
from aebert.hls_reports.reading import DEFAULT_LIMIT_BYTES, read_report_text
from aebert.records.from_reports import UNNAMED, ImportContext, records_from_report
from aebert.records.record import RunRecord
from aebert.records.transfer import read_jsonl
from aebert.support.errors import AebertError

WHOLE_DESIGN_XML = "csynth.xml"
Content = Report | tuple[RunRecord, ...]


@dataclass(frozen=True, slots=True)
class ImportedFiles:
    """Records found, how many files gave at least one, files that hold no fact, and refusals with their reason.
    ``tops``: the functions that reports of whole designs are of."""

    records: tuple[RunRecord, ...]
    used: int
    without_facts: tuple[Path, ...]
    refused: tuple[str, ...]
    tops: frozenset[str] = frozenset()

    def __add__(self, other: ImportedFiles) -> ImportedFiles:
        return ImportedFiles(
            self.records + other.records,
            self.used + other.used,
            self.without_facts + other.without_facts,
            self.refused + other.refused,
            self.tops | other.tops,
        )


def read_files(
    paths: Sequence[Path],
    context: ImportContext,
    limit_bytes: int = DEFAULT_LIMIT_BYTES,
    skip: frozenset[Path] = frozenset(),
) -> ImportedFiles:
    """Read files, and folders with all below them but ``skip``. A file named by itself must be a report or JSON Lines,
    or AebertError is raised; a file met in a folder may be anything, and is listed as refused. A report that does not
    name its design is of the only one that the others are of, or else refused."""
    records: list[RunRecord] = []
    without_facts: list[Path] = []
    refused: list[str] = []
    used = 0
    tops: set[str] = set()
    for path in paths:
        for folder in _by_folder(path):
            files = [file for file in folder if file not in skip]
            outcomes = [(file, _try_read(file, limit_bytes, required=file == path)) for file in files]
            refused += [reason for _, reason in outcomes if isinstance(reason, str)]
            read = [(file, content) for file, content in outcomes if not isinstance(content, str)]
            top = _folder_top(read)
            tops |= {top} if top is not None else set()
            for file, content in read:
                found = _records(file, content, context, top)
                records += found
                if found:
                    used += 1
                else:
                    without_facts.append(file)
    named, nameless = _named(records, tops)
    return ImportedFiles(named, used, tuple(without_facts), (*refused, *nameless), frozenset(tops))


def _named(records: Sequence[RunRecord], tops: set[str]) -> tuple[tuple[RunRecord, ...], tuple[str, ...]]:
    """Records whose report left the design out get the only one there is; else why they are left out."""
    known = tops or {each.design for each in records if each.design != UNNAMED and each.scope == "design"}
    parts = {each.part for each in records if each.source == "csynth" and each.part is not None}
    if len(known) == 1:
        (design,) = known
        part = next(iter(parts)) if len(parts) == 1 else None
        return tuple(
            replace(each, design=design, part=each.part or part) if each.design == UNNAMED else each for each in records
        ), ()
    nameless = {each.report_name or "report" for each in records if each.design == UNNAMED}
    return tuple(each for each in records if each.design != UNNAMED), tuple(
        f"{name}: does not say what it is of; give --design NAME" for name in sorted(nameless)
    )


def preferred(records: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """One kind of synthesis report where several tell of the same run: csynth.xml, which has most, before the text
    reports and the session's log."""
    kinds = ("csynth_xml", "csynth_rpt", "csynth_summary", "hls_log")
    there = {each.report_kind for each in records if each.source == "csynth"}
    best = next((kind for kind in kinds if kind in there), None)
    return tuple(each for each in records if each.source != "csynth" or each.report_kind == best)


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
        records = text.text.lstrip().startswith("{") and what_instead(text.name, text.text) is None
        return read_jsonl(text) if records else parse_report_text(text)
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
