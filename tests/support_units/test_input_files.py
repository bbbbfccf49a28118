"""What is opened is a regular file inside its folder, and what a parser throws is one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from aebert.support.input_files import check_inside, files_inside, foreign, quoted, read_input


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - not a folder of files


def test_only_regular_files_are_read_and_no_handle_stays_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = open_files()
    for path, said in (("fifo", "is a FIFO"), (".", "is a folder"), ("absent", "cannot be read")):
        with pytest.raises(AebertError, match=said):
            read_input(tmp_path / path)
    with pytest.raises(AebertError, match="is a FIFO, socket or device"):
        read_input(Path("/dev/zero"))
    (tmp_path / "file").write_bytes(b"1234")
    assert read_input(tmp_path / "file", limit=4) == b"1234"
    with pytest.raises(AebertError, match="4 bytes, more than 3"):
        read_input(tmp_path / "file", limit=3)
    assert open_files() == before


def test_links_may_lead_within_a_folder_and_not_out_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "file").touch()
    (folder / "inside").symlink_to("file")
    assert files_inside(folder) == [folder / "file", folder / "inside"]
    (folder / "outside").symlink_to("/etc")
    with pytest.raises(AebertError, match="outside: a symbolic link that leads out of"):
        check_inside(folder / "outside", folder)
    with pytest.raises(AebertError, match="outside: a symbolic link that leads out of"):
        files_inside(folder)


class PanicException(BaseException):
    """As pyo3 throws it: no Exception."""


def test_whatever_a_parser_throws_is_one_line_but_not_what_ends_the_program() -> None:
    for error in (ValueError("first\nsecond"), KeyError("name"), RecursionError(), PanicException("in Rust")):
        with pytest.raises(AebertError, match=r"^file: broken \(.+\); mend it$"), foreign("file", "broken", "mend it"):
            raise error
    for ending in (KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(ending)), foreign("file", "broken", "mend it"):
            raise ending


def test_foreign_values_are_quoted_on_one_short_line() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert len(quoted("x" * 10_000)) == 200
    assert quoted(10**5000) == "a number of thousands of digits"
