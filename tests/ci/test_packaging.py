"""The wheel: it holds every module, board, template and data file, and works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# Where the source lies, and where it must be in the wheel.
SHIPPED = {
    "aebert": "aebert",
    "codegen": "codegen",
    "host": "host",
    "boards": "aebert/board_files",
    "templates": "codegen/templates",
}


def sources() -> set[str]:
    """Every file that must ship, by its name in the wheel."""
    found = set()
    for folder, target in SHIPPED.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{target}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # From a copy, as setuptools leaves build/ and *.egg-info next to what it builds.
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*SHIPPED, "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (file,) = target.glob("aebert-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's Python with the wheel in it; its dependencies come from this one's folder."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=120,
    )
    return python


def run(python: Path, *arguments: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_source_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources()


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert "Apache License" in archive.read(licence).decode()


def test_an_installed_wheel_finds_its_boards_and_templates_from_any_folder(installed: Path, tmp_path: Path) -> None:
    templates = [name.removeprefix("codegen/templates/") for name in sources() if name.startswith("codegen/templates/")]
    script = (
        "import json, sys, aebert\n"
        "from importlib.resources import files\n"
        "from aebert.design.board import board_names, load_board\n"
        "print(json.dumps({'aebert': aebert.__file__, 'boards': [load_board(name).name for name in board_names()],\n"
        "    'absent': [name for name in sys.argv[1:] if not files('codegen.templates').joinpath(name).is_file()]}))"
    )
    found = json.loads(run(installed, "-c", script, *templates, folder=tmp_path))
    assert found["aebert"].startswith(str(installed.parents[1]))
    assert found["boards"] == sorted(path.stem for path in (ROOT / "boards").glob("*.toml"))
    assert found["absent"] == []


def test_an_installed_wheel_has_the_console_script(installed: Path, tmp_path: Path) -> None:
    assert "Commands:" in run(installed, str(installed.parent / "aebert"), "--help", folder=tmp_path)


def test_the_editable_installation_finds_the_same_resources() -> None:
    assert {file.name for file in files("aebert.board_files").iterdir() if file.name.endswith(".toml")} == {
        path.name for path in (ROOT / "boards").glob("*.toml")
    }
