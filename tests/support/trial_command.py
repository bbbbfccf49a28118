"""A command ``try`` with a body of the test's own. Use it with ``pytest_plugins`` in a test module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import click
import pytest

from aebert.cli.main import COMMANDS, LazyCommand

Install = Callable[[Callable[[], None]], None]
Failing = Callable[[BaseException], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a command ``try`` with the given body into the table."""

    def put(body: Callable[[], None]) -> None:
        module = ModuleType("try_command")
        vars(module)["command"] = click.command()(body)
        monkeypatch.setitem(sys.modules, "try_command", module)
        table = {**COMMANDS, "try": LazyCommand("try_command", "Tries.")}
        monkeypatch.setattr("aebert.cli.main.COMMANDS", table)

    return put


@pytest.fixture
def failing(install: Install) -> Failing:
    """Let the command ``try`` raise the given error."""

    def put(error: BaseException) -> None:
        def body() -> None:
            raise error

        install(body)

    return put
