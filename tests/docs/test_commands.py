"""Every command in README.md and docs/ is run on a tiny model, page by page; what cannot run here must still parse."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aebert.explore.shapes import NAMED_SHAPES
from codegen.project import load_project
from tests.support import own_methods, report_samples
from tests.support.command_line import aebert
from tests.support.command_lines import check_parses, commands_of
from tests.support.documented_commands import ABSENT, PAGES, ROOT, DocumentedCommand, commands_of_page
from tests.support.stand_in_csynth import write_stand_in

TINY_SHAPE = "layers=2,hidden=32,heads=4,ffn=64"
PAGES_WITH_COMMANDS = [page for page in PAGES if commands_of_page(page)]
SENTENCES = [
    "the cat sat on the mat",
    "a dog ran to the cat",
    "the dog sat\ta cat ran on a mat to the dog",
    "a cat and the dog sat on a mat",
]


@pytest.fixture(scope="session")
def made(tiny_classifiers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take as given: models, subnets, a project, text and rows."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("MODEL", "dense"):
        shutil.copytree(tiny_classifiers["bert"], folder / name)
    assert aebert("prune", folder / "MODEL", "-o", folder / "subnet", "--ratio", 0.5).exit_code == 0
    assert aebert("generate", folder / "subnet", "--board", "u200", "-o", folder / "project").exit_code == 0
    # What "make csynth" would leave.
    write_stand_in(load_project(folder / "project"), lut=250_000, ff=300_000, dsp=2_700)
    assert aebert("export", folder / "subnet", "-o", folder / "model.onnx").exit_code == 0
    shutil.copytree(folder / "subnet", folder / "tuned")
    mails = [
        f"{title},{line},{label}" for title, label in (("cat", "in"), ("dog", "out")) for line in SENTENCES[:2] * 8
    ]
    (folder / "mails").mkdir()
    for name in ("train.csv", "dev.csv"):
        (folder / "mails" / name).write_text("\n".join(["subject,body,folder", *mails]) + "\n")
    for name in ("sentences.txt", "held_out.txt"):
        (folder / name).write_text("\n".join(SENTENCES * 12) + "\n")
    board = (ROOT / "boards" / "kv260.toml").read_text()
    (folder / "my_board.toml").write_text(board.replace('name = "kv260"', 'name = "my-board"'))
    reports = folder / "build" / "reports"
    reports.mkdir(parents=True)
    (reports / "csynth.xml").write_text(report_samples.CSYNTH_XML_2024)
    return folder


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_its_order(
    page: Path,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    if page == own_methods.PAGE:
        (tmp_path / "installed").mkdir()
        own_methods.install_page_package(tmp_path / "installed", monkeypatch)
    for command in commands_of_page(page):
        check_parses(list(command.words))
        if command.absent is not None:
            record_property("only parsed", f"{command} (for want of {command.absent})")
            continue
        _provide(command, made, tmp_path)
        with monkeypatch.context() as environment:
            for name, value in command.environment:
                environment.setenv(name, value)
            finished = aebert(*_in_small(command.words)[1:])
        assert finished.exit_code == 0, f"{command}\n{finished.stderr}"


def _provide(command: DocumentedCommand, made: Path, here: Path) -> None:
    """Make room for what ``command`` writes, and put there what it reads and no command before it made."""
    words = command.words
    written = {Path(words[at + 1]) for at, word in enumerate(words[:-1]) if word in ("-o", "--output")}
    for path in written:
        shutil.rmtree(here / path, ignore_errors=True)
    for word in words:
        name = Path(word.removeprefix("./")).parts[0] if word.removeprefix("./") else ""
        if (made / name).exists() and name and not (here / name).exists() and Path(name) not in written:
            if (made / name).is_dir():
                shutil.copytree(made / name, here / name)
            else:
                shutil.copy(made / name, here / name)


def _in_small(words: tuple[str, ...]) -> tuple[str, ...]:
    """``words`` with a shape that is as small as the model, and for ``runs show`` the digest of a record."""
    if words[1:3] != ("runs", "show"):
        return tuple(TINY_SHAPE if word in NAMED_SHAPES else word for word in words)
    records = aebert("runs", "list", "--json").json["records"]
    assert isinstance(records, list)
    return (*words[:3], records[0]["digest"][:12], *words[4:])


def test_nothing_is_called_absent_that_no_page_needs() -> None:
    assert {command.absent for page in PAGES for command in commands_of_page(page)} - {None} == set(ABSENT)


@pytest.mark.parametrize("workflow", sorted((ROOT / "examples" / "ci").glob("*.yml")), ids=lambda path: path.stem)
def test_the_commands_of_a_workflow_are_understood(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8").replace("$MODEL", "model").replace("$BOARD", "u200")
    lines = re.findall(r"^ *(?:run: |- )(aebert .+)$", text, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        for words in commands_of(line):
            check_parses(words)


@pytest.mark.parametrize(
    ("file", "schema"), [("github-actions.yml", "github-workflows"), ("gitlab-ci.yml", "gitlab-ci")]
)
def test_the_workflows_are_valid_by_their_services_own_schemas(file: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    checked = subprocess.run(
        [*command, str(ROOT / "examples" / "ci" / file)], capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
