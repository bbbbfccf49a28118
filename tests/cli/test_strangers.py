"""What comes from somebody else: configuration, models, boards, names. And what ends a command from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.cli.command_tree import leaf_commands
from aebert.cli.common_options import flag_name, own_options
from aebert.cli.config_file import NOT_FROM_FOUND_FILES
from aebert.cli.main import cli
from aebert.design.board import Board, check_names, load_board, read_board
from aebert.models import load_encoder
from aebert.pruning.subnet import copy_companions
from aebert.support.errors import AebertError
from aebert.support.plain_text import for_xml
from aebert.support.toml_file import parse_toml
from codegen.project_text import project_files
from codegen.render import one_line
from tests.support.command_line import aebert
from tests.support.paths import ROOT
from tests.support.projects import TINY_DESIGN

# Of the options that take a path, those that are only read.
READ = {"text", "file", "per-matrix", "design", "config", "dense", "distill", "tokenizer", "base", "csynth", "model"}


def test_a_found_configuration_sets_no_outputs_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / "aebert.toml").write_text(
        '[verify]\njunit = "../victim"\ndevice = "remote:evil.example"\ntrust-changes = true\ntokens = [4]\n'
        '[runs.import]\ndatabase = "postgresql://evil.example/runs"\n'
    )
    monkeypatch.chdir(folder)
    shown = aebert("config", "verify", "--json").json["options"]
    assert isinstance(shown, list)
    effective = {option["flag"]: option["value"] for option in shown}
    assert (effective["junit"], effective["device"], effective["trust-changes"]) == (None, "emulator", False)
    assert effective["tokens"] == ["4"]
    said = aebert("config").stderr
    for key in ("verify.junit", "verify.device", "verify.trust-changes", "runs.import.database"):
        assert f"key {key}: ignored" in said
    given = aebert("--config-file", "aebert.toml", "config", "verify", "--json").json["options"]
    assert {option["flag"]: option["value"] for option in given}["junit"] == str(Path("..") / "victim")


def test_every_option_that_names_a_path_is_known_to_be_read_or_kept_from_found_files() -> None:
    import click

    for words, command in leaf_commands(cli):
        for option in own_options(command):
            if isinstance(option.type, click.Path):
                assert flag_name(option) in READ | NOT_FROM_FOUND_FILES, (words, flag_name(option))


def test_a_found_configuration_of_another_user_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (tmp_path / "aebert.toml").write_text("[prune]\nseed = 7\n")
    os.chown(tmp_path / "aebert.toml", 12345, 12345)
    monkeypatch.chdir(tmp_path)
    done = aebert("config")
    assert "seed" not in done.stdout
    assert "ignored, as it belongs to another user" in done.stderr


def linked_model(model: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(model, folder / "model"))
    (copy / "notes.txt").symlink_to("/etc/passwd")
    return copy


def test_a_link_out_of_a_model_folder_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    model = linked_model(tiny_bert, tmp_path)
    with pytest.raises(AebertError, match=r"notes\.txt: a symbolic link that leads out of"):
        load_encoder(model)
    (tmp_path / "copied").mkdir()
    with pytest.raises(AebertError, match=r"notes\.txt: a symbolic link that leads out of"):
        copy_companions(model, tmp_path / "copied")
    (model / "notes.txt").unlink()
    (model / "notes.txt").symlink_to("config.json")
    load_encoder(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_fifo_in_a_model_folder_is_refused_and_not_waited_for(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    model = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    (model / name).unlink()
    os.mkfifo(model / name)
    done = aebert("prune", model, "--ratio", "0.5", "-o", tmp_path / "subnet")
    assert (done.exit_code, "FIFO" in done.stderr) == (2, True), done.stderr


CONTROL = st.sampled_from(["\n", "\r", "\x00", "\x0b", "\x1b", "\x85", "\u2028", "\u2029", "\u202e", "\x7f"])
TEXT = st.builds(
    lambda before, control, after: before + control + after, st.text(max_size=5), CONTROL, st.text(max_size=5)
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(field=st.sampled_from(["name", "title", "part", "platform"]), text=TEXT)
def test_no_text_of_a_board_brings_a_line_of_its_own_into_generated_text(field: str, text: str) -> None:
    """Through the file, and through Python, where nothing has read the field."""
    content = (ROOT / "boards" / "u200.toml").read_text()
    table = parse_toml(content.encode(), "board.toml")
    with pytest.raises(AebertError, match=r"control character|non-empty string"):
        read_board({**table, field: text}, "board.toml")
    board = replace(load_board("u200"), **{field: text})
    with pytest.raises(AebertError, match=r"control character|must be"):
        project_files(TINY_DESIGN, board, 250.0, 1)


@given(text=TEXT)
def test_no_value_with_a_control_character_goes_through_a_template(text: str) -> None:
    """Whatever it is of: templates have one door for values."""
    with pytest.raises(AebertError, match="control character"):
        one_line(text)


# What begins a command, an option or a substitution in a Makefile, a shell, Tcl or v++'s configuration.
COMMANDS = ("$(shell id)", "`id`", "[exec id]", "a;id", "a b", "a\\", '"', "{", "a=b", "#", "a&&id", "\nparam=x.Tcl=y")


def with_name(board: Board, field: str, text: str) -> Board:
    """``board`` with a name of it (a field, or the first die's or bank's) exchanged."""
    if field == "slr":
        return replace(board, slrs=(replace(board.slrs[0], name=text), *board.slrs[1:]))
    if field == "tag":
        banks = (replace(board.memory.banks[0], tag=text), *board.memory.banks[1:])
        return replace(board, memory=replace(board.memory, banks=banks))
    return replace(board, **{field: text})


@pytest.mark.parametrize("field", ["name", "part", "platform", "slr", "tag"])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(before=st.sampled_from(["", "x", "xcu200-fsgd2104-2-e"]), command=st.sampled_from(COMMANDS), text=st.text())
def test_no_name_of_a_board_brings_a_command_into_a_script(field: str, before: str, command: str, text: str) -> None:
    board = with_name(load_board("u200"), field, f"{before}{command}{text}")
    with pytest.raises(AebertError, match=r"board .*must be"):
        check_names(board)
    with pytest.raises(AebertError, match=r"board .*must be"):
        project_files(TINY_DESIGN, board, 250.0, 1)


@pytest.mark.parametrize(
    ("field", "old"),
    [("platform", "xilinx_u200_gen3x16_xdma_2_202110_1"), ("tag", "DDR[0]"), ("name", "SLR0")],
)
def test_a_board_file_with_a_command_for_a_name_is_refused_with_the_field(tmp_path: Path, field: str, old: str) -> None:
    path = tmp_path / "board.toml"
    content = (ROOT / "boards" / "u200.toml").read_text()
    assert old in content
    path.write_text(content.replace(old, "$(shell id)"))
    with pytest.raises(AebertError, match=rf"board\.toml: .*{field}.* must be .*, not '\$\(shell id\)'"):
        load_board(path)


@given(st.text())
def test_any_name_makes_well_formed_xml(name: str) -> None:
    element = ElementTree.Element("testsuite", name=for_xml(name))
    element.text = for_xml(name)
    ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))


def test_a_panic_of_a_rust_library_is_one_line_and_not_an_answer(tiny_bert: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    for content in ("{}", '{"version": "1.0", "model": null}', "[", "\x00" * 10):
        (model / "tokenizer.json").write_text(content)
        done = aebert("prune", model, "--ratio", "0.5", "-o", tmp_path / "subnet")
        assert done.exit_code == 2, done.stderr


NUMBERS = [
    (words, option)
    for words, command in leaf_commands(cli)
    for option in own_options(command)
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
]


@pytest.mark.parametrize(("words", "option"), NUMBERS, ids=[f"{'-'.join(w)}-{flag_name(o)}" for w, o in NUMBERS])
def test_numbers_beyond_all_sense_are_refused_by_every_option(words: tuple[str, ...], option: click.Option) -> None:
    name = f"--{flag_name(option)}"
    whole = isinstance(option.type, click.types.IntParamType)
    for number in ("9" * 30, "9" * 5000) if whole else ("1e308", "-1e308", "inf", "nan", "9" * 30):
        done = aebert(*words, name, number)
        assert done.exit_code == 2
        assert f"Invalid value for '{name}'" in done.stderr or f"/ '{name}'" in done.stderr, done.stderr[:300]


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (("measure", "x", "--sequences", "1000000000"), "1<=x<=65536"),
        (("generate", "x", "--board", "u200", "-o", "y", "--clock-mhz", "1e5"), "1<=x<=2000"),
    ],
)
def test_what_no_board_can_do_is_refused_with_the_range(words: tuple[str, ...], limit: str) -> None:
    done = aebert(*words)
    assert (done.exit_code, limit in done.stderr) == (2, True), done.stderr


def test_a_bad_storage_leaves_no_run_folder(tiny_bert: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "other.sqlite"
    import sqlite3

    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = foreign.read_bytes()
    for storage in ("sqlite:////absent/study.db", "nonsense://x", f"sqlite:///{foreign}"):
        done = aebert("search", tiny_bert, "--ratio", "0.5", "-o", tmp_path / "run", "--storage", storage)
        assert done.exit_code == 2, done.stderr
        assert not (tmp_path / "run").exists()
    report = tmp_path / "empty.jsonl"
    report.write_text("{}\n")
    assert aebert("runs", "import", report, "--database", foreign).exit_code == 2
    assert foreign.read_bytes() == before


SLEEP = """
import sys, time
from aebert.cli import main
import click
class Module: command = staticmethod(click.command()(lambda: (print("up", flush=True), time.sleep(60))))
sys.modules["sleeping"] = Module
main.COMMANDS["sleep"] = main.LazyCommand("sleeping", "")
sys.exit(main.main(["sleep"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminated_command_ends_like_an_interrupted_one(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)  # it would sleep for 60 s
    assert (process.returncode, said.strip()) == (130, "aebert: interrupted.")
