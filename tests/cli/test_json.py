"""``--json``: one object on standard output, whatever happens."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.cli.command_tree import leaf_commands
from aebert.cli.main import COMMANDS, cli
from aebert.cli.output import Output, current_output
from aebert.cli.plain_values import PlainValue, plain_value
from aebert.support.errors import AebertError
from codegen.project import Project
from tests.support.command_line import aebert
from tests.support.command_lines import check_parses, commands_of

if TYPE_CHECKING:
    from tests.support.trial_command import Failing, Install

pytest_plugins = ["tests.support.host_fixtures", "tests.support.trial_command"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_the_object_holds_command_facts_and_what_was_written(install: Install) -> None:
    def body() -> None:
        output = current_output()
        output.result("ratio 0.5", ratio=0.5)
        output.result("done", layers=6)
        output.note("a remark")
        output.wrote(Path("subnet"), "aebert generate subnet")

    install(body)
    for arguments in (["--json", "try"], ["try", "--json"]):
        finished = aebert(*arguments)
        assert finished.json == {
            "command": "try",
            "exit_code": 0,
            "ratio": 0.5,
            "layers": 6,
            "wrote": ["subnet"],
            "next": "aebert generate subnet",
        }
        assert "a remark" in finished.stderr
    assert aebert("try").stdout == "ratio 0.5\ndone\n"


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (AebertError("config.json: hidden_size is 0; must be positive"), 2, "config.json: hidden_size is 0"),
        (ZeroDivisionError("division by zero"), 70, "internal error: ZeroDivisionError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_failure_is_an_object_too_and_still_a_line_for_people(
    failing: Failing, error: BaseException, exit_code: int, message: str
) -> None:
    failing(error)
    finished = aebert("try", "--json")
    assert finished.exit_code == exit_code
    assert set(finished.json) == {"command", "exit_code", "error", "wrote", "next"}
    assert finished.json["exit_code"] == exit_code
    assert str(finished.json["error"]).startswith(message)
    assert finished.stderr.startswith("aebert: ")


def test_the_answer_no_keeps_its_facts(install: Install) -> None:
    def body() -> None:
        current_output().result("FAIL", passed=False)
        raise click.exceptions.Exit(1)

    install(body)
    finished = aebert("try", "--json")
    assert (finished.exit_code, finished.json["passed"], finished.json["exit_code"]) == (1, False, 1)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense", "--json"], ["--json", "prune"], ["prune", "--nonsense", "--json"], ["runs", "x", "--json"]],
)
def test_a_command_line_that_cannot_be_understood_is_an_object_too(arguments: list[str]) -> None:
    finished = aebert(*arguments)
    assert finished.exit_code == finished.json["exit_code"] == 2
    assert finished.json["error"]


@pytest.mark.parametrize(
    ("arguments", "command", "begins"),
    [
        (["--json", "prune", "--help"], "prune", "Usage: aebert prune "),
        (["prune", "--json", "--help"], "prune", "Usage: aebert prune "),
        (["--json", "--help"], None, "Usage: aebert "),
        (["--json", "--version"], None, "aebert "),
    ],
)
def test_help_is_a_field_of_the_object(arguments: list[str], command: str | None, begins: str) -> None:
    done = aebert(*arguments)
    assert done.exit_code == 0
    assert done.json["help"].startswith(begins)
    assert (done.json["command"], done.json["exit_code"]) == (command, 0)


def test_help_is_a_field_where_the_environment_asks_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEBERT_JSON", "1")
    assert aebert("prune", "--help").json["help"].startswith("Usage: aebert prune ")


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*leaf, id=" ".join(leaf[0])) for leaf in leaf_commands(cli)]
)
def test_every_command_takes_the_common_options(path: tuple[str, ...], command: click.Command) -> None:
    flags = [flag for option in command.params for flag in option.opts]
    for flag in ("--json", "--quiet", "--verbose", "--debug"):
        assert flags.count(flag) == 1, f"aebert {' '.join(path)} must leave {flag} to aebert/cli/common_options.py"


def test_the_options_after_the_command_do_what_those_before_it_do(install: Install) -> None:
    install(lambda: current_output().note(f"verbose {current_output().verbose}"))
    assert "verbose True" in aebert("try", "-v").stderr
    assert aebert("try", "-q").stderr == ""
    assert aebert("--quiet", "try").stderr == ""


def test_facts_of_a_step_stay_together(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.result(seconds=1)
    with output.facts_of("prune"):
        output.result("text", digest="a")
    with output.facts_of("generate"):
        output.result("text", digest="b")
    document = json.loads(output.document(0, None))
    assert (document["seconds"], document["prune"], document["generate"]) == (1, {"digest": "a"}, {"digest": "b"})
    assert capsys.readouterr().out == ""


@given(json_values)
def test_what_json_has_stays_as_it_is(value: PlainValue) -> None:
    assert plain_value(value) == value
    json.dumps(plain_value(value), allow_nan=False)


class Colour(str, enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: float
    where: Path


def test_values_of_the_data_flow_become_plain() -> None:
    found = plain_value({"point": Point(float("nan"), Path("a")), "colour": Colour.RED, "lengths": (np.int64(3),)})
    assert found == {"point": {"x": None, "where": "a"}, "colour": "red", "lengths": [3]}
    assert plain_value(np.float32(0.5)) == 0.5
    with pytest.raises(TypeError, match="object has no JSON form"):
        plain_value(object())


def test_commands_on_a_project_tell_their_facts(tiny_project: Project, tmp_path: Path) -> None:
    folder = tiny_project.directory
    built = aebert("build", folder, "--json").json
    assert Path(str(built["library"])).is_file()
    assert built["wrote"] == [built["library"]]
    emulated = aebert("emulate", folder, "--tokens", 5, "--json").json
    assert emulated["lengths"] == [5]
    timed = aebert("emulate", folder, "--timed", "--tokens", 5, "--json").json
    assert isinstance(timed["cycles"], int)
    assert timed["source"] == "emulated"
    linted = aebert("lint", folder, "--json").json
    assert linted["findings"] == []
    verified = aebert("verify", folder, "--tokens", 5, "--json", "-o", tmp_path / "verify.json")
    assert verified.exit_code == 0, verified.stderr
    assert verified.json["passed"] is True
    assert json.loads((tmp_path / "verify.json").read_text())["rungs"] == verified.json["rungs"]
    assert str(verified.json["next"]).startswith("aebert report ")


def test_every_command_on_a_project_names_a_next_one_that_is_understood(tiny_project: Project, tmp_path: Path) -> None:
    folder, database = tiny_project.directory, ["--database", tmp_path / "runs.sqlite"]
    for arguments in (
        ["build", folder],
        ["emulate", folder, "--tokens", 5],
        ["emulate", folder, "--timed", "--tokens", 5],
        ["verify", folder, "--tokens", 5],
        ["run", folder, "--text", "the cat"],
        ["lint", folder],
        ["measure", folder, "--tokens", 5],
        ["measure", folder, "--tokens", 5, "--store", *database],
        ["runs", "list", *database],
    ):
        finished = aebert(*arguments, "--json")
        assert finished.exit_code == 0, finished.stderr
        (following,) = commands_of(str(finished.json["next"]))
        check_parses(following)


def test_commands_before_a_project_tell_their_facts(tiny_bert: Path, tmp_path: Path) -> None:
    pruned = aebert(
        "prune", tiny_bert, "-o", tmp_path / "subnet", "--ratio", 0.5, "--pattern", "vector:2x1/4", "--json"
    ).json
    assert pruned["overall_ratio"] == pytest.approx(0.5)
    assert pruned["wrote"] == [str(tmp_path / "subnet")]
    assert str(pruned["next"]).startswith("aebert generate ")
    explored = aebert("explore", tmp_path / "subnet", "--board", "kv260", "--length", 16, "--top", 2, "--json").json
    best = explored["best"]
    assert isinstance(best, dict)
    assert set(best) >= {"config", "latency_ms", "shares"}
    assert isinstance(explored["front"], list)


def test_every_command_of_the_table_is_checked_here() -> None:
    assert {path[0] for path, _ in leaf_commands(cli)} == set(COMMANDS)
