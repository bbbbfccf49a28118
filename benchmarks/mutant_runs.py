"""Runs tests against a mutant in a forked process that has the large libraries loaded, and only those."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import Phase, settings

from benchmarks.mutants import Mutant

_LARGE = (
    "numpy", "torch", "scipy.stats", "scipy.optimize", "safetensors.torch", "safetensors.numpy", "pydantic",
    "hypothesis.strategies", "hypothesis.extra.numpy", "jinja2", "transformers", "sqlalchemy", "click", "rich.console",
)  # fmt: skip
_WALL_LIMIT_S = 1800


@dataclass(frozen=True)
class Outcome:
    """``killed``: a test failed, or the mutant ran for too long. ``output`` is what pytest printed."""

    killed: bool
    cpu_s: float
    output: str


def preload() -> None:
    """Loads what every test process would load. Nothing of the project may be loaded before the fork."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    for name in _LARGE:
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.split(".")[0] in ("aebert", "codegen", "host", "tests")]
    assert not loaded, f"already loaded before any mutant: {loaded}"


def run_tests(mutant: Mutant, tests: Sequence[str], cpu_limit_s: float) -> Outcome:
    """``tests`` (paths from the root) against ``mutant``, up to the first failure."""
    with tempfile.TemporaryDirectory(prefix="aebert-mutant-") as scratch:
        output = Path(scratch) / "output"
        process = os.fork()
        if process == 0:
            _be_tested(mutant, tests, cpu_limit_s, output)
        _, status, used = os.wait4(process, 0)
        text = output.read_text(errors="replace")
    cpu = used.ru_utime + used.ru_stime
    return Outcome(os.waitstatus_to_exitcode(status) != 0, cpu, text)


def _be_tested(mutant: Mutant, tests: Sequence[str], cpu_limit_s: float, output: Path) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        with output.open("w") as text:
            os.dup2(text.fileno(), 1)
            os.dup2(text.fileno(), 2)
        limit = int(cpu_limit_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        os.environ["TMPDIR"] = str(output.parent)
        tempfile.tempdir = None
        plugins: list[object] = [_Isolated(output.parent, mutant)]
        if not mutant.is_template:
            sys.meta_path.insert(0, _Replacing(mutant))
        options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=no"]
        code = int(pytest.main([*options, f"--basetemp={output.parent / 'pytest'}", *tests], plugins))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Isolated:
    """Keeps compiled mutants out of the tests' cache, and puts a changed template in place."""

    def __init__(self, scratch: Path, mutant: Mutant) -> None:
        self._scratch, self._mutant = scratch, mutant

    def pytest_configure(self) -> None:
        # A failure is enough: nobody reads the smallest example of it.
        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), database=None, derandomize=True)
        settings.load_profile("mutants")
        if self._mutant.is_template:
            os.environ["AEBERT_EMULATOR_CACHE"] = str(self._scratch / "emulators")
            self._replace_template()

    def _replace_template(self) -> None:
        render: ModuleType = importlib.import_module("codegen.render")
        name, source, original = self._mutant.module.removeprefix("templates/"), self._mutant.source, render._load
        render._load = lambda wanted: source if wanted == name else original(wanted)  # type: ignore[attr-defined]


class _Replacing(importlib.abc.MetaPathFinder):
    """Finds the mutant under its module's name."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.module.removesuffix(".py").replace("/", ".")
        self._path = str(Path(__file__).parents[1] / mutant.module)
        self._source = mutant.source

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=_SourceLoader(fullname, self._path, self._source)
        )


class _SourceLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec")
