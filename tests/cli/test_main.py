"""The frame of the command line: help without heavy imports, and one line for whatever goes wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
import pytest

from aebert.cli import output as output_module
from aebert.cli.main import COMMANDS, main
from aebert.cli.output import Output, current_output, said_once_slow
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from tests.support.trial_command import Failing, Install

pytest_plugins = ["tests.support.trial_command"]

HEAVY = ("torch", "transformers", "numpy", "scipy", "rich", "jinja2", "plotly", "optuna", "sqlalchemy")


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aebert.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_a_mistyped_command_is_told_the_right_one() -> None:
    assert "no command 'serach'; did you mean 'search'? See 'aebert --help'." in run("serach").stderr


def test_help_lists_every_command_with_its_line() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for name, entry in COMMANDS.items():
        assert f"{name} " in shown.stdout
        assert entry.help in " ".join(shown.stdout.split())


def test_help_imports_nothing_heavy_and_no_command() -> None:
    script = (
        "import sys; from aebert.cli.main import main; code = main(['--help'])\n"
        f"print('LOADED', [m for m in sys.modules if m.split('.')[0] in {HEAVY!r}])\n"
        f"print('COMMANDS', [m for m in sys.modules if m in {[e.module for e in COMMANDS.values()]!r}])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "LOADED []" in shown.stdout, shown.stdout + shown.stderr
    assert "COMMANDS []" in shown.stdout


def test_help_takes_little_more_than_python_and_click_do() -> None:
    """A ratio, as a loaded machine is slow in both."""

    def once(start: Callable[[], object]) -> float:
        began = time.perf_counter()
        start()
        return time.perf_counter() - began

    def bare() -> None:
        subprocess.run([sys.executable, "-c", "import click"], check=True, timeout=60)

    # In turn, so that both meet the same load.
    pairs = [(once(lambda: run("--help")), once(bare)) for _ in range(5)]
    assert min(taken for taken, _ in pairs) < 4 * min(taken for _, taken in pairs)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_exists_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage: aebert" in capsys.readouterr().out


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == f"aebert {version('aebert')}"


def test_no_arguments_show_the_help_and_are_bad_input() -> None:
    shown = run()
    assert shown.returncode == 2
    assert "Commands:" in shown.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["../prune"]])
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str]) -> None:
    shown = run(*arguments)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("aebert: error: ")
    assert shown.stderr.count("\n") == 1
    assert "aebert --help" in shown.stderr


def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    assert "prune" in run("prnue").stderr


def test_bad_input_is_one_line_without_traceback(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(AebertError("config.json: hidden_size 0\nmust be positive"))
    assert main(["try"]) == 2
    assert capsys.readouterr().err == "aebert: error: config.json: hidden_size 0 must be positive.\n"


def test_debug_adds_the_traceback(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(AebertError("no good"))
    assert main(["--debug", "try"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith("aebert: error: no good.\n")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some disk space"), (errno.EACCES, "check its permissions"), (errno.ENOENT, "check the path")],
)
def test_an_error_of_the_system_names_the_file_and_a_remedy(
    failing: Failing, capsys: pytest.CaptureFixture[str], number: int, remedy: str
) -> None:
    failing(OSError(number, os.strerror(number), "some/file.json"))
    assert main(["try"]) == 2
    assert capsys.readouterr().err == f"aebert: error: some/file.json: {os.strerror(number)}; {remedy}.\n"


@pytest.mark.parametrize("command", ["verify", "emulate", "run", "build", "measure"])
def test_a_folder_that_is_no_project_is_told_before_anything_heavy_is_imported(command: str) -> None:
    script = (
        f"import sys; from aebert.cli.main import main; code = main([{command!r}, 'nothere'])\n"
        f"print(code, [m for m in sys.modules if m.split('.')[0] in {HEAVY!r}])\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert shown.stdout == "2 []\n"
    assert shown.stderr == "aebert: error: nothere/manifest.json: not found; give a folder made by 'aebert generate'.\n"


def test_a_missing_extra_is_named(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ModuleNotFoundError("No module named 'plotly.graph_objects'", name="plotly.graph_objects"))
    assert main(["try"]) == 2
    assert "pip install 'aebert[report]'" in capsys.readouterr().err


def test_a_fault_of_our_own_is_told_apart_from_bad_input(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert main(["try"]) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("aebert: internal error: ZeroDivisionError: division by zero")
    assert "Traceback" not in shown


def test_an_interrupt_is_one_line_and_exit_130(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(KeyboardInterrupt())
    assert main(["try"]) == 130
    assert capsys.readouterr().err == "aebert: interrupted.\n"


def test_an_interrupted_command_that_can_go_on_says_how(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(KeyboardInterrupt(), "--resume")
    assert main(["try"]) == 130
    assert capsys.readouterr().err == "aebert: interrupted; the same command with --resume goes on.\n"


def test_a_command_chooses_its_exit_code(failing: Failing) -> None:
    failing(click.exceptions.Exit(1))
    assert main(["try"]) == 1


def test_ctrl_c_in_a_real_process_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "sleeping.py").write_text(
        "import click, time\n@click.command()\ndef command():\n    click.echo('ready')\n    time.sleep(60)\n"
    )
    script = (
        "import sys, aebert.cli.main as m\n"
        "m.COMMANDS['sleep'] = m.LazyCommand('sleeping', 'Sleeps.')\n"
        "sys.exit(m.main(['sleep']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "aebert: interrupted.\n"


def run_into(output: int | TextIO) -> subprocess.CompletedProcess[str]:
    """Show the help on ``output``, buffered as Python does by default: what is left is written at exit once more."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "aebert.cli", "--help"]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, env=environment)


def test_a_full_disk_under_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        shown = run_into(full)
    assert shown.returncode == 2
    assert shown.stderr == "aebert: error: No space left on device; free some disk space.\n"


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        shown = subprocess.run(
            [sys.executable, "-m", "aebert.cli", "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert shown.returncode == 141
    assert shown.stderr == ""


def test_quiet_reaches_the_command_and_silences_notes(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        output = current_output()
        output.note("a remark")
        output.wrote(Path("subnet"), "aebert generate subnet")
        output.result("42")
        assert list(output.track([1, 2], "Counting")) == [1, 2]

    install(body)
    assert main(["--quiet", "try"]) == 0
    assert capsys.readouterr() == ("42\n", "")
    assert main(["try"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "42\n"
    assert "a remark\nwrote subnet\nnext:  aebert generate subnet\n" in shown.err


def test_progress_in_a_log_is_a_line_per_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Output().track(range(1000), "Scoring")) == list(range(1000))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"Scoring: {tenth * 100}/1000" for tenth in range(1, 11)]


def test_a_step_in_a_log_begins_with_a_line_once_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is refused at once is refused in one line."""
    with said_once_slow("Scoring ..."):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(output_module, "SLOW_S", 0.0)
    shown = ""
    with said_once_slow("Scoring ..."):
        while not shown:
            shown = capsys.readouterr().err
    assert shown == "Scoring ...\n"


def test_outside_the_command_line_the_defaults_hold() -> None:
    assert current_output() == Output()


def test_completion_offers_the_commands() -> None:
    environment = {**os.environ, "_AEBERT_COMPLETE": "bash_complete", "COMP_WORDS": "aebert pr", "COMP_CWORD": "1"}
    shown = run(environment=environment)
    assert shown.returncode == 0
    assert "prune" in shown.stdout


def test_bars_are_for_terminals_that_can_move_their_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    from aebert.cli.output import shows_bars

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert shows_bars()
    monkeypatch.setenv("TERM", "dumb")
    assert not shows_bars()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not shows_bars()
