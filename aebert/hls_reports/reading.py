"""From a path to text and provenance: size limit, encoding, digest. Everything that touches the file is here."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular

DEFAULT_LIMIT_BYTES = 64 << 20
# Dates, hosts, paths and a program's own output may be in the code page of the machine that ran the tool. Figures are
# in table rows and in XML: there it is not guessed what a byte means.
_HEADER_ROW = re.compile(rb"\|\s*[A-Z][A-Za-z ]*:|\|\s*Date\b|\|\s*Host\b")
_TEXT_CONTROL = frozenset("\t\n\r\f\v")
# A terminal's colours, kept by whoever wrote its output to a file.
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


class ReportError(AebertError):
    """A file that is no report we know, or a broken one. One line: file, what is wrong, remedy."""


@dataclass(frozen=True, slots=True)
class ReportText:
    """A report file as text. ``name`` is how errors name it; ``sha256`` is of the bytes on disk."""

    name: str
    stem: str
    sha256: str
    size_bytes: int
    text: str

    def error(self, what: str, remedy: str = "export the report again") -> ReportError:
        return ReportError(f"{self.name}: {what}; {remedy}")


def one_line(text: str) -> str:
    """Text from outside, safe inside a one-line message: control characters escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def read_report_text(path: str | os.PathLike[str], limit_bytes: int = DEFAULT_LIMIT_BYTES) -> ReportText:
    """Read a report file. Raises ReportError when it is missing, too large, binary, or not UTF-8/UTF-16 text."""
    file = Path(path)
    name = one_line(str(path))
    try:
        check_regular(file, "give a report")
    except AebertError as error:
        raise ReportError(str(error)) from None
    try:
        with file.open("rb") as handle:
            data = handle.read(limit_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise ReportError(f"{name}: cannot be read ({one_line(reason)}); check the path") from None
    if len(data) > limit_bytes:
        raise ReportError(f"{name}: larger than {limit_bytes} bytes; pass a larger limit if this is really a report")
    if not data.strip():
        raise ReportError(f"{name}: empty file; run the tool again")
    return ReportText(name, one_line(file.stem), hashlib.sha256(data).hexdigest(), len(data), _decode(data, name))


def _decode(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise ReportError(f"{name}: broken UTF-16 text; export the report again") from None
    else:
        # A file that was allocated, and not written to its end before the machine stopped, is filled with zeros.
        text = _COLOURS.sub("", _decode_utf8(data.rstrip(b"\0"), name))
    control = next((char for char in text if char < " " and char not in _TEXT_CONTROL), None)
    if control is not None:
        raise ReportError(f"{name}: binary data (control character {control!r}); give the report, not an archive")
    return text


def _decode_utf8(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line, number, name) for number, line in enumerate(data.split(b"\n"), start=1))


def _decode_line(line: bytes, number: int, name: str) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        start = line.lstrip()
        if not start.startswith((b"|", b"<")) or _HEADER_ROW.match(start):
            return "".join(max(char, " ") for char in line.decode("latin-1"))
        raise ReportError(f"{name}: line {number} is not UTF-8 text; convert the file to UTF-8") from None
