"""Runs the steps of README.md, of how-to pages and of the CI examples as they are written, from a wheel.

    run_steps.py ENVIRONMENT WHEEL MODEL FILE ...

ENVIRONMENT is a virtual environment; its `pip` and `aebert` are those on PATH. Each file's steps run in an empty folder
of their own, in which MODEL is called as the file calls it, and the first is the file's own installation, with the
wheel's path for the package's name. Commands that need what no CI machine has (tests/support/documented_commands.py
says which) are named and left out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.documented_commands import commands_of_page

# How a page says what to install, in a sentence or a block: pip install 'aebert[extra,...]'.
INSTALLS = re.compile(r"pip install '(aebert[^']*)'")


def steps_of(file: Path, wheel: Path) -> Iterator[str]:
    """The shell lines of a page, a GitHub workflow or a GitLab pipeline, its installation first."""
    if file.suffix == ".md":
        installs = INSTALLS.search(file.read_text(encoding="utf-8"))
        if installs is None:
            sys.exit(f"{file}: does not say what to install")
        yield f"pip install {shlex.quote(named(installs[1], wheel))}"
        for command in commands_of_page(file):
            if command.absent is None:
                yield shlex.join(command.words)
            else:
                print(f"left out for want of {command.absent}: {command}")
        return
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    jobs = content.get("jobs", content)
    for job in jobs.values():
        if not isinstance(job, dict):
            continue
        yield from (step["run"] for step in job.get("steps", []) if "run" in step)
        yield from [*job.get("before_script", []), *job.get("script", [])]


def named(requirement: str, wheel: Path) -> str:
    """``aebert[extra]`` as it is written where the package is on no index: the wheel's path with its extras."""
    return f"{wheel}{requirement.removeprefix('aebert')}"


def variables_of(file: Path, wheel: Path, folder: Path) -> dict[str, str]:
    """Those that a workflow sets, with the wheel in AEBERT as its comment says, and ``folder`` for GitLab's own."""
    if file.suffix == ".md":
        return {}
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    found = dict(content.get("env", {}))
    for job in content.values():
        found.update(job.get("variables", {}) if isinstance(job, dict) else {})
    found["AEBERT"] = named(found["AEBERT"], wheel)
    return {name: str(value).replace("$CI_PROJECT_DIR", str(folder)) for name, value in found.items()}


def run(file: Path, environment: Path, wheel: Path, model: Path, folder: Path) -> None:
    variables = variables_of(file, wheel, folder)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    steps = list(steps_of(file, wheel))
    if not any(step.startswith("aebert demo-model") for step in steps):
        (folder / variables.get("MODEL", "MODEL")).symlink_to(model)
    for step in steps:
        began = time.monotonic()
        settings = {**os.environ, "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables, "PATH": path}
        done = subprocess.run(["bash", "-euc", step], cwd=folder, env=settings, capture_output=True, text=True)
        print(
            f"{file.name}: {step}: {'done' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n{done.stderr}")


def main(environment: str, wheel: str, model: str, *files: str) -> None:
    began = time.monotonic()
    for file in files:
        with tempfile.TemporaryDirectory(prefix="steps.") as folder:
            run(Path(file), Path(environment).absolute(), Path(wheel).absolute(), Path(model).absolute(), Path(folder))
    print(f"all steps of {', '.join(files)}: {time.monotonic() - began:.0f} s")


main(*sys.argv[1:])
