"""A command ``try`` with a body of the test's own. Use it with ``pytest_plugins`` in a test module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Protocol

import click
import pytest

from aebert.cli.main import COMMANDS, LazyCommand


class Install(Protocol):
    """Makes a command ``try`` of a body, which takes flags of these names and is not told them."""

    def __call__(self, body: Callable[[], None], *flags: str) -> None: ...


class Failing(Protocol):
    """Lets the command ``try``, with flags of these names, raise an error."""

    def __call__(self, error: BaseException, *flags: str) -> None: ...


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a command ``try`` with the given body into the table."""

    def put(body: Callable[[], None], *flags: str) -> None:
        module = ModuleType("try_command")
        command = click.command()(body)
        command.params += [click.Option([flag], is_flag=True, expose_value=False) for flag in flags]
        vars(module)["command"] = command
        monkeypatch.setitem(sys.modules, "try_command", module)
        table = {**COMMANDS, "try": LazyCommand("try_command", "Tries.")}
        monkeypatch.setattr("aebert.cli.main.COMMANDS", table)

    return put


@pytest.fixture
def failing(install: Install) -> Failing:
    """Let the command ``try`` raise the given error."""

    def put(error: BaseException, *flags: str) -> None:
        def body() -> None:
            raise error

        install(body, *flags)

    return put
