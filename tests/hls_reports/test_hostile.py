"""Files that are huge, broken, binary, in a strange encoding or made to hurt: one line each, and quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aebert.hls_reports import Report, ReportError, parse_report
from aebert.hls_reports.model import CosimReport
from aebert.hls_reports.parse import parse_report_text
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.values import COUNT_DIGITS, MalformedValue, parse_count, parse_range, parse_usage
from tests.support import report_samples as samples

BOMB = "<!DOCTYPE profile [<!ENTITY a 'aaaa'>" + "".join(
    f"<!ENTITY {chr(98 + level)} '{f'&{chr(97 + level)};' * 10}'>" for level in range(8)
)
BOMB += "]><profile><UserAssignments><TopModelName>&i;</TopModelName></UserAssignments></profile>"


def refusal(path: Path, limit_bytes: int = 1 << 20) -> str:
    with pytest.raises(ReportError) as caught:
        parse_report(path, limit_bytes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))
    return message


def outcome(parse: Callable[[], Report]) -> str | None:
    """The refusal, or None for a report. Any other exception is a failure of the test."""
    try:
        parse()
    except ReportError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"  \n\t\n", "empty file"),
        (b"x" * (1 << 20) + b"y", "larger than 1048576 bytes"),
        (b"PK\x03\x04\x14\x00\x06\x00", "binary data"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "binary data"),
        (b"just some text\n", "not a report of a known kind"),
        (b"<html><body>404</body></html>", "root 'html'"),
        (b"<profile><Nothing/></profile>", "root 'profile'"),
        (b"<profile><UserAssignments>", "broken XML"),
        (b"<", "broken XML"),
        (BOMB.encode(), "entities and DTDs are not allowed"),
        (b'<!DOCTYPE p SYSTEM "file:///etc/hostname"><profile/>', "entities and DTDs are not allowed"),
        (b"<profile>" + b"<a>" * 100 + b"</a>" * 100 + b"</profile>", "nested deeper than 64"),
        ("<profile>Bitbreite</profile>".encode("utf-16-be"), "binary data"),
        (b"\xff\xfe<\x00p\x00", "broken XML"),
        (b"\xff\xfe<", "broken UTF-16"),
        (samples.COSIM_2019.replace("Verilog", "Veril\u00f6g").encode("latin-1"), "line 12 is not UTF-8 text"),
    ],
)
def test_hostile_content_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "report.xml"
    file.write_bytes(content)
    assert said in refusal(file)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nothing.rpt")
    assert "is a folder, not a file; give a report" in refusal(tmp_path)
    assert "cannot be read" in refusal(Path("bad\0name"))


def test_a_file_name_cannot_break_the_line(tmp_path: Path) -> None:
    file = tmp_path / "two\nlines\x1b[31m.rpt"
    file.write_text("nothing")
    assert "two\\nlines\\x1b[31m.rpt" in refusal(file)


def test_utf_16_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    file = tmp_path / "engine_cosim.rpt"
    for encoding in ("utf-16", "utf-8-sig"):
        file.write_bytes(samples.COSIM_2019.encode(encoding))
        report = parse_report(file)
        assert isinstance(report, CosimReport)
        assert report.measured is not None


@pytest.mark.parametrize("encoding", ["euc-kr", "gbk", "utf-8"])
def test_a_date_in_the_language_of_the_machine_does_no_harm(tmp_path: Path, encoding: str) -> None:
    date = {"euc-kr": "2022. 01. 14. (\uae08) 19:14:58 KST", "gbk": "2022\u5e741\u670814\u65e5", "utf-8": "\uae08"}[
        encoding
    ]
    file = tmp_path / "engine_cosim.rpt"
    file.write_bytes(samples.COSIM_2019.replace("Mon Jun  8 18:21:12 CST 2019", date).encode(encoding))
    report = parse_report(file)
    assert isinstance(report, CosimReport)
    assert report.measured is not None
    assert report.measured.latency_max == 190


def test_absurdly_long_numbers_and_nests_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.rpt"
    file.write_text(samples.CSYNTH_XML_2018.replace("3300", "9" * 5000))
    assert "is not a count" in refusal(file)
    file.write_text(samples.CSYNTH_RPT_2018.replace("|  ++ Lanes       |", "|  " + "+" * 900 + " Lanes |"))
    assert "loops nested deeper" in refusal(file)
    file.write_text(samples.CSYNTH_SUMMARY.replace("|  o Tiles", "|" + " " * 3000 + "o Tiles"))
    assert "nested deeper" in refusal(file)


@st.composite
def damaged_samples(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sample with bytes changed, removed, repeated or cut off."""
    name = draw(st.sampled_from(sorted(samples.SAMPLES)))
    data = bytearray(samples.SAMPLES[name][1].encode())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(1, 40))
        change = draw(st.sampled_from(("set", "cut", "repeat", "truncate", "digit")))
        if change == "set":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif change == "cut":
            del data[at : at + size]
        elif change == "repeat":
            data[at:at] = data[at : at + size]
        elif change == "digit":
            data[at : at + 1] = draw(st.sampled_from((b"9", b"-", b"|", b"<", b">", b"~", b"?", b"\n", b",", b"+")))
        elif at > 0:
            del data[at:]
    return name, bytes(data)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged=damaged_samples())
@example(damaged=("csynth.xml", b"<profile>"))
def test_a_damaged_file_parses_or_is_refused_in_one_line(
    damaged: tuple[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, data = damaged
    file = tmp_path_factory.getbasetemp() / f"fuzzed_{name}"
    file.write_bytes(data)
    said = outcome(lambda: parse_report(file))
    assert said is None or (said.startswith(f"{file}: ") and "\n" not in said)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=400))
def test_any_text_is_no_report_or_a_valid_one(text: str) -> None:
    said = outcome(lambda: parse_report_text(ReportText("any.rpt", "any", "0" * 64, len(text), text)))
    assert said is None or said.startswith("any.rpt: ")


@given(count=st.integers(0, 10**COUNT_DIGITS - 1), share=st.integers(0, 100))
def test_counts_survive_the_ways_the_tools_decorate_them(count: int, share: int) -> None:
    assert parse_count(f"  {count} ") == count
    assert parse_usage(f"{count} (~{share}%)") == count
    assert parse_usage(f" {count} [ {share}.00%]") == count
    assert parse_range(f"{count}").exact == count


@given(ends=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_a_range_is_kept_or_refused_when_backwards(ends: tuple[int, int]) -> None:
    low, high = ends
    if low <= high:
        parsed = parse_range(f" {low} ~ {high} ")
        assert (parsed.min, parsed.max) == ends
    else:
        with pytest.raises(MalformedValue, match="backwards"):
            parse_range(f"{low} ~ {high}")


@pytest.mark.parametrize("text", ["undef", "?", "-", "NA", "N/A", "", "  "])
def test_unknown_is_a_value(text: str) -> None:
    assert parse_count(text) is None
    assert not parse_range(text).known


@pytest.mark.parametrize("text", ["1.5", "-1", "1e3", "0x10", "\u0661", "1_000", "12 ms"])
def test_anything_else_is_no_count(text: str) -> None:
    with pytest.raises(MalformedValue):
        parse_count(text)
