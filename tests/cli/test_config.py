"""One rule for where an option's value comes from: flag, environment, project's file, user's file, default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from aebert.cli.main import cli
from tests.support.command_line import Finished, aebert


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a project's and a user's file, in which each test starts; the environment is empty of ours."""
    for name in [name for name in os.environ if name.startswith("AEBERT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    (tmp_path / "user" / "aebert").mkdir(parents=True)
    folder = tmp_path / "project"
    (folder / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write_user_file(project: Path, text: str) -> None:
    (project.parent / "user" / "aebert" / "aebert.toml").write_text(text)


def effective(*command: str) -> dict[str, tuple[object, str]]:
    """Value and origin of the options of ``command``, by flag."""
    options = aebert("config", *command, "--json").json["options"]
    assert isinstance(options, list)
    return {option["flag"]: (option["value"], option["origin"]) for option in options}


def test_a_flag_beats_the_environment_beats_the_project_beats_the_user_beats_the_default(
    project: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["prune", tiny_bert, "-o", "subnet", "--force", "--json"]

    def pruned(*more: str) -> object:
        return aebert(*arguments, *more).json["overall_ratio"]

    write_user_file(project, '[prune]\nratio = 0.25\nsaliency = "magnitude"\npattern = "unstructured"\n')
    assert pruned() == pytest.approx(0.25)
    (project / "aebert.toml").write_text("[prune]\nratio = 0.5\n")
    assert pruned() == pytest.approx(0.5)
    monkeypatch.setenv("AEBERT_PRUNE_RATIO", "0.75")
    assert pruned() == pytest.approx(0.75)
    assert pruned("--ratio", "0.125") == pytest.approx(0.125)
    assert pruned("--per-layer", "0.0,0.5") == pytest.approx(0.25), "a flag also beats what it excludes"
    assert effective("prune")["ratio"] == ("0.75", "AEBERT_PRUNE_RATIO")
    monkeypatch.delenv("AEBERT_PRUNE_RATIO")
    assert effective("prune")["ratio"] == ("0.5", str(project / "aebert.toml"))
    assert effective("prune")["saliency"][0] == "magnitude"
    assert effective("prune")["compensate"] == (False, "default")


def test_the_nearest_file_above_is_the_projects_and_its_paths_are_relative_to_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "aebert.toml").write_text('[prune]\ntext = "calibration.txt"\n[generate]\nboard = "own/board.toml"\n')
    monkeypatch.chdir(project / "deep" / "down")
    assert effective("prune")["text"] == (str(project / "calibration.txt"), str(project / "aebert.toml"))
    assert effective("generate")["board"][0] == str(project / "own" / "board.toml")
    (project / "deep" / "aebert.toml").write_text("")
    assert effective("prune")["text"] == (None, "default")


def test_config_file_takes_the_place_of_the_projects(project: Path) -> None:
    (project / "aebert.toml").write_text("[prune]\nseed = 1\n")
    (project / "other.toml").write_text("[prune]\nseed = 2\n[runs.list]\nlimit = 3\n")
    shown = aebert("--config-file", "other.toml", "config")
    assert "prune --seed = 2  (other.toml)" in shown.stdout
    assert "runs list --limit = 3  (other.toml)" in shown.stdout
    assert aebert("--config-file", "none.toml", "config").exit_code == 2


def test_a_repeated_option_takes_a_list_and_a_switch_true(project: Path) -> None:
    (project / "aebert.toml").write_text("quiet = true\n[verify]\ntokens = [1, 17]\n[prune]\ncompensate = true\n")
    shown = aebert("config").stdout
    assert "verify --tokens = 1, 17" in shown
    assert "prune --compensate = true" in shown
    assert "--quiet = true" in shown


def test_the_files_own_switches_hold(project: Path) -> None:
    (project / "aebert.toml").write_text("json = true\n")
    assert aebert("completion", "bash").json["shell"] == "bash"


def refused(text: str) -> str:
    Path("aebert.toml").write_text(text)
    finished: Finished = aebert("config")
    assert finished.exit_code == 2
    assert finished.stderr.count("\n") == 1
    return finished.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[prune]\nratios = 0.5", "key prune.ratios: is not known here; there are output, ratio"),
        ("[prnue]\nratio = 0.5", "key prnue: is not known here; there are json, quiet"),
        ("ratio = 0.5", "key ratio: is not known here"),
        ("[runs.lists]\nlimit = 1", "key runs.lists: is not known here; there are"),
        ("prune = 0.5", "key prune: must be a table, as in [prune]"),
        ('[prune]\nratio = "half"', "key prune.ratio: 'half' is not a valid float"),
        ("[prune]\nratio = true", "key prune.ratio: must be text or a number, not True"),
        ("[prune]\nratio = [0.5]", "key prune.ratio: must be text or a number, not [0.5]"),
        ("[prune]\ncompensate = 1", "key prune.compensate: must be true or false, not 1"),
        ('[prune]\nsaliency = "size"', "key prune.saliency: 'size' is not one of"),
        ("[verify]\ntokens = [1, true]", "key verify.tokens: must be text, a number or a list of them"),
        ("verbose = 1", "key verbose: must be true or false, not 1"),
        ("[prune\n", "is not valid TOML"),
    ],
)
def test_a_wrong_key_or_value_is_one_line_with_file_and_key(project: Path, text: str, message: str) -> None:
    shown = refused(text)
    assert f"aebert: error: {project / 'aebert.toml'}" in shown
    assert message in shown


def test_help_is_shown_whatever_the_file_says(project: Path) -> None:
    (project / "aebert.toml").write_text("[nonsense]\n")
    assert aebert("--help").exit_code == 0


def test_verbose_names_the_files_and_the_time(project: Path) -> None:
    (project / "aebert.toml").write_text("")
    shown = aebert("config", "--verbose").stderr
    assert "config: 0." in shown
    assert f"options from {project / 'aebert.toml'}" in aebert("--verbose", "config").stderr


def test_an_unknown_command_has_no_options(project: Path) -> None:
    assert "no command 'prnue'" in aebert("config", "prnue").stderr


def test_the_same_database_variable_holds_for_every_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEBERT_DATABASE", "sqlite:///shared.sqlite")
    assert effective("measure")["database"] == ("sqlite:///shared.sqlite", "AEBERT_DATABASE")
    monkeypatch.setenv("AEBERT_RUNS_LIST_DATABASE", "own.sqlite")
    assert effective("runs", "list")["database"] == ("own.sqlite", "AEBERT_RUNS_LIST_DATABASE")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    script = aebert("completion", shell).stdout
    assert "_AEBERT_COMPLETE" in script
    assert f"{shell}_complete" in script


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("generate subnet --board u2", {"u200", "u250", "u280"}),
        ("prune MODEL --pattern vector", {"vector:1x1", "vector:2x1", "vector:4x1", "vector:8x1"}),
        ("measure project --device py", {"pynq-emulator", "pynq:0"}),
        ("completion z", {"zsh"}),
        ("runs l", {"list"}),
        ("prune MODEL --comp", {"--compensate"}),
    ],
)
def test_the_shell_completes_commands_options_and_names(words: str, expected: set[str]) -> None:
    environment = {
        "_AEBERT_COMPLETE": "bash_complete",
        "COMP_WORDS": f"aebert {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    shown = CliRunner().invoke(cli, [], prog_name="aebert", env=environment, complete_var="_AEBERT_COMPLETE")
    assert {line.partition(",")[2] for line in shown.output.splitlines()} == expected


def test_the_patterns_offered_are_patterns() -> None:
    from aebert.cli.names import DEVICES, PATTERNS
    from aebert.pruning import parse_pattern
    from host.devices.open import _OPENERS

    for pattern in PATTERNS:
        parse_pattern(pattern)
    assert {device.partition(":")[0] for device in DEVICES} == set(_OPENERS)
