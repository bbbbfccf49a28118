"""What is written is whole or untouched, whatever stops the writer; what it left is swept."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aebert.support import atomic_files
from aebert.support.atomic_files import whole_directory, whole_file, write_text, writing
from aebert.support.errors import AebertError
from aebert.support.output_directory import replaced_directory


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(("make", "kind"), [(make_fifo, "FIFO"), (make_link, "symbolic link"), (make_folder, "folder")])
def test_only_regular_files_are_replaced(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    path = tmp_path / "out.xml"
    make(path)
    before = path.lstat()
    with pytest.raises(AebertError, match=rf"out\.xml: is a {kind}, and only a regular file is replaced"):
        write_text(path, "x")
    assert path.lstat().st_ino == before.st_ino
    assert names_in(tmp_path) == ["out.xml"]


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(AebertError, match="/dev/full: is a device"):
        write_text(Path("/dev/full"), "x")


def write_half(path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


def fill_the_disk(folder: Path) -> None:
    with whole_directory(folder) as inside, writing(inside / "kernel.cpp"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def save_into_no_folder(path: Path) -> None:
    with writing(path):
        save_file({"a": np.zeros(3)}, path.parent / "absent" / path.name)


def test_a_failure_inside_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_a_full_disk_names_the_file_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match=r"out/kernel\.cpp: cannot be written \(No space left"):
        fill_the_disk(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # safetensors' own error for a folder that takes no file.
    with pytest.raises(AebertError, match=r"model\.safetensors: cannot be written"):
        save_into_no_folder(tmp_path / "model.safetensors")


def test_what_was_to_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "out"):
        (tmp_path / "absent").read_bytes()


def test_names_with_lone_surrogates_and_of_full_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_text(path, "\udcff")
    assert path.read_text() == "\\udcff"


WRITE_AND_HANG = """
import sys, time
from pathlib import Path
from aebert.support.atomic_files import whole_directory
with whole_directory(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_swept_and_mentioned_and_a_living_one_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out"
    writer = subprocess.Popen([sys.executable, "-c", WRITE_AND_HANG, target], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    left = Path(writer.stdout.readline().strip())
    with whole_directory(target) as folder:
        (folder / "own").touch()
    assert left.is_dir()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    with caplog.at_level(logging.WARNING, "aebert.files"), whole_directory(target):
        pass
    assert not left.exists()
    assert f"removed {left}" in caplog.text
    assert names_in(tmp_path) == ["out"]


@pytest.mark.parametrize("one_step", [True, False])
def test_a_replaced_folder_is_the_old_or_the_new_one(
    tmp_path: Path, one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not one_step:
        monkeypatch.setattr(atomic_files, "_exchange", lambda first, second: False)
    target = tmp_path / "out"
    for content in ("old", "new"):
        with replaced_directory(target, "marker", "thing", force=True) as folder:
            (folder / "marker").write_text(content)
    assert (target / "marker").read_text() == "new"
    assert names_in(tmp_path) == ["out"]


def test_the_swap_is_one_step_where_the_file_system_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two renames would leave a moment without a folder: they must not be used here."""
    for content in ("old", "new"):
        with whole_directory(tmp_path / "out") as folder:
            (folder / "file").write_text(content)
            if content == "new":
                monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("two steps"))
    assert (tmp_path / "out" / "file").read_text() == "new"
