"""``aebert runs`` from import to export."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aebert.cli.runs import FORMATS, SOURCES, command
from aebert.records import record
from aebert.support.errors import AebertError
from tests.support import report_samples as samples


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refusal(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, AebertError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with the facts of two reports."""
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "csynth.xml").write_text(samples.CSYNTH_XML_2024)
    (reports / "encoder_cosim.rpt").write_text(samples.COSIM_2022)
    (reports / "kernel.cpp").write_text("int main() {}")
    file = tmp_path / "runs.sqlite"
    result = run("import", reports, "--database", file, "--board", "u200", "--sequence-length", "128")
    assert result.exit_code == 0, result.output
    assert result.stdout == "4 records added, 0 known already, from 2 files\n"
    assert "kernel.cpp: not a report of a known kind" in result.stderr
    return file


def test_the_choices_offered_are_those_of_the_records() -> None:
    assert SOURCES == record.SOURCES  # named again in the CLI, so that --help need not import SQLAlchemy
    assert set(FORMATS) == {"csv", "parquet", "jsonl"}


def test_import_again_adds_nothing(database: Path) -> None:
    result = run(
        "import", database.parent / "reports", "--database", database, "--board", "u200", "--sequence-length", "128"
    )
    assert result.stdout == "0 records added, 4 known already, from 2 files\n"


def test_list_shows_a_line_per_record_and_filters(database: Path) -> None:
    every = run("list", "--database", database).stdout.splitlines()
    assert len(every) == 4
    cosim = run("list", "--database", database, "--source", "cosim").stdout.splitlines()
    assert len(cosim) == 1
    assert "encoder  [u200]  Vitis HLS  4100..4200 cycles" in cosim[0]
    assert len(run("list", "--database", database, "--limit", "2").stdout.splitlines()) == 2
    assert run("list", "--database", database, "--board", "u280").stdout == ""


def test_show_prints_every_known_field(database: Path) -> None:
    digest = run("list", "--database", database, "--source", "cosim").stdout.split()[0]
    fields = dict(line.split(maxsplit=1) for line in run("show", digest, "--database", database).stdout.splitlines())
    assert (fields["cycles"], fields["sequence_length"], fields["board"]) == ("4150", "128", "u200")
    assert fields["digest"].startswith(digest)
    assert "lut" not in fields
    assert "no record 0123" in refusal("show", "0123", "--database", database)


def test_an_export_imports_into_another_database(database: Path, tmp_path: Path) -> None:
    exported, copy = tmp_path / "all.jsonl", tmp_path / "copy.sqlite"
    assert run("export", "--database", database, "-o", exported).exit_code == 0
    assert run("import", exported, "--database", copy).stdout == "4 records added, 0 known already, from 1 files\n"
    digests = [
        sorted(json.loads(line)["digest"] for line in run("export", "--database", each).stdout.splitlines())
        for each in (database, copy)
    ]
    assert digests[0] == digests[1]


def test_export_goes_by_suffix_and_filters(database: Path, tmp_path: Path) -> None:
    table = tmp_path / "cosim.csv"
    run("export", "--database", database, "-o", table, "--source", "cosim")
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["cycles_max"] for row in rows] == ["4200"]
    parquet = tmp_path / "all.parquet"
    assert run("export", "--database", database, "-o", parquet).exit_code == 0
    assert parquet.read_bytes()[:4] == b"PAR1"
    assert run("export", "--database", database, "--format", "csv").stdout.startswith("digest,recorded_at")


def test_bad_input_is_refused_in_one_line(database: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.rpt"
    broken.write_text("nothing of interest")
    assert "broken.rpt: not a report of a known kind" in refusal("import", broken, "--database", database)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no report with a fact to record" in refusal("import", empty, "--database", database)
    assert "design_digest 'xyz' is not a SHA-256" in refusal(
        "import", database.parent / "reports", "--database", database, "--design-digest", "xyz"
    )
    assert "Parquet is binary; give a file with -o" in refusal("export", "--database", database, "--format", "parquet")
    assert "no format by the name 'xlsx'" in refusal("export", "--database", database, "-o", tmp_path / "a.xlsx")
    assert "no run database" in refusal("list", "--database", tmp_path / "none.sqlite")


def test_nothing_is_stored_when_one_named_file_is_bad(database: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "engine_cosim.rpt", tmp_path / "bad.rpt"
    good.write_text(samples.COSIM_2019)
    bad.write_text(samples.COSIM_2019.replace("175", "x75"))
    fresh = tmp_path / "fresh.sqlite"
    assert "'x75' is not a count" in refusal("import", good, bad, "--database", fresh)
    assert not fresh.exists()


@pytest.mark.parametrize("value", ["CAST(X'ff' AS TEXT)", "CAST('a' || X'c328' AS TEXT)"])
@pytest.mark.parametrize("column", ["tool_version", "board", "recorded_by", "digest"])
def test_text_that_is_not_utf8_in_a_database_is_one_line(database: Path, column: str, value: str) -> None:
    with sqlite3.connect(database) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")  # a stranger's file need not keep to our rules
        connection.execute(f"UPDATE run_records SET {column} = {value} WHERE id = 1")
    for words in (("list",), ("export", "-o", str(database.parent / "out.jsonl"))):
        assert "UTF-8" in refusal(*words, "--database", database)
    assert not (database.parent / "out.jsonl").exists()
