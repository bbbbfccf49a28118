"""Options from ``aebert.toml``: what one would type on the command line, a table per command.

    verbose = true
    [prune]
    ratio = 0.5
    [runs.list]
    limit = 20

One rule says which value holds: flag, then environment (``AEBERT_PRUNE_RATIO``), then the project's file (the nearest
``aebert.toml`` in the working directory or above, or ``--config-file``), then the user's file, then the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from aebert.cli.command_tree import CommandPath
from aebert.cli.common_options import COMMON_FLAGS, flag_name, own_options
from aebert.support.errors import AebertError

FILE_NAME = "aebert.toml"
# Flags that say what is written, where code runs, or whom data is sent to.
NOT_FROM_FOUND_FILES = frozenset(
    ("output", "junit", "plot", "prepared", "force", "device", "hil", "project", "database", "store", "storage")
) | {"scheduler", "trust-changes"}
_ROOT = 0
# Where the outermost context keeps the files that were read.
CONFIG_FILES = "aebert.config_files"

# A value as if typed: text, several of it for an option that may be repeated, or a flag.
Value = str | list[str] | bool


@dataclass(frozen=True)
class Setting:
    """``parameter`` is what the option is called inside."""

    parameter: str
    value: Value


@dataclass(frozen=True)
class ConfigFile:
    """``settings``: by the words of the command and the flag, ``("runs", "list", "limit")``; checked.

    ``ignored``: what is not taken from this file, one line each.
    """

    path: Path
    settings: Mapping[CommandPath, Setting]
    ignored: tuple[str, ...] = ()


def find_project_file(start: Path) -> Path | None:
    """The nearest ``aebert.toml`` in ``start`` or above it."""
    candidates = [folder / FILE_NAME for folder in (start, *start.parents)]
    return next((path for path in candidates if path.is_file()), None)


def user_file() -> Path:
    """Where the user's own file is looked for."""
    return Path(click.get_app_dir("aebert")) / FILE_NAME


def find_config_files(given: Path | None, start: Path, root: click.Group) -> list[ConfigFile]:
    """The files that hold, strongest first. ``given`` takes the place of the project's file.

    Raises AebertError naming file and key for a key that no command has, and for a value that its flag refuses.
    """
    files = []
    found = None if given else find_project_file(start)
    if given is not None:
        files.append(read_config_file(given, root))
    elif found is not None and found != user_file():
        files.append(_found_file(found, root))
    if user_file().is_file() and user_file() != given:
        files.append(read_config_file(user_file(), root))
    return files


def _found_file(path: Path, root: click.Group) -> ConfigFile:
    """A file that nobody named: it may have come with a downloaded folder, so it does not say what is written where."""
    owner = path.stat().st_uid
    if owner not in (os.getuid(), _ROOT):
        said = f"{path}: ignored, as it belongs to another user; give it with --config-file if you trust it"
        return ConfigFile(path, {}, (said,))
    file = read_config_file(path, root)
    refused = [keys for keys in file.settings if keys[-1] in NOT_FROM_FOUND_FILES]
    return ConfigFile(
        path,
        {keys: setting for keys, setting in file.settings.items() if keys not in refused},
        tuple(
            f"{path}: key {'.'.join(keys)}: ignored, as a file that was merely found sets no outputs, devices or "
            "databases; give the flag, or the file with --config-file"
            for keys in refused
        ),
    )


def read_config_file(path: Path, root: click.Group) -> ConfigFile:
    """Raises AebertError as `find_config_files`. Only the commands that the file names are imported."""
    from aebert.support.toml_file import read_toml

    reader = _Reader(path)
    reader.group(read_toml(path), root, ())
    return ConfigFile(path, reader.settings)


def default_map(files: Sequence[ConfigFile]) -> dict[str, object]:
    """``files``, strongest first, as click takes them: nested by command, keyed by parameters."""
    nested: dict[str, object] = {}
    for file in reversed(files):
        for path, setting in file.settings.items():
            table = nested
            for word in path[:-1]:
                below = table.setdefault(word, {})
                assert isinstance(below, dict)
                table = below
            table[setting.parameter] = setting.value
    return nested


def _options(command: click.Command) -> dict[str, click.Option]:
    return {flag_name(each): each for each in command.params if isinstance(each, click.Option)}


class _Reader:
    """Walks the tables of one file beside the commands they are named after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[CommandPath, Setting] = {}

    def error(self, keys: CommandPath, problem: str) -> AebertError:
        return AebertError(f"{self.path}: key {'.'.join(keys)}: {problem}")

    def group(self, table: Mapping[str, object], group: click.Group, keys: CommandPath) -> None:
        context = click.Context(group)
        names = group.list_commands(context)
        flags = {} if keys else {flag: option for flag, option in _options(group).items() if flag in COMMON_FLAGS}
        for key, entry in table.items():
            inner = (*keys, key)
            if key in flags:
                if not isinstance(entry, bool):
                    raise self.error(inner, f"must be true or false, not {entry!r}")
                self.settings[inner] = Setting(flags[key].name or key, entry)
                continue
            command = group.get_command(context, key) if key in names else None
            if command is None:
                raise self.error(inner, f"is not known here; there are {', '.join([*flags, *names])}")
            if not isinstance(entry, dict):
                raise self.error(inner, f"must be a table, as in [{'.'.join(inner)}]")
            if isinstance(command, click.Group):
                self.group(entry, command, inner)
            else:
                self.command(entry, command, inner)

    def command(self, table: Mapping[str, object], command: click.Command, keys: CommandPath) -> None:
        own = own_options(command)
        options = {flag: option for flag, option in _options(command).items() if option in own}
        for key, entry in table.items():
            inner = (*keys, key)
            if key not in options:
                raise self.error(inner, f"is not known here; there are {', '.join(options) or 'no keys'}")
            value = self.value(entry, options[key], command, inner)
            self.settings[inner] = Setting(options[key].name or key, value)

    def value(self, entry: object, option: click.Option, command: click.Command, keys: CommandPath) -> Value:
        if option.is_flag:
            if not isinstance(entry, bool):
                raise self.error(keys, f"must be true or false, not {entry!r}")
            return entry
        several = entry if isinstance(entry, list) and option.multiple else [entry]
        if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in several):
            kind = "text, a number or a list of them" if option.multiple else "text or a number"
            raise self.error(keys, f"must be {kind}, not {entry!r}")
        typed = [self.as_typed(str(each), option) for each in several]
        value: Value = typed if option.multiple else typed[0]
        try:
            option.type_cast_value(click.Context(command), value)
        except click.BadParameter as error:
            raise self.error(keys, error.message) from None
        return value

    def as_typed(self, text: str, option: click.Option) -> str:
        """A path that a file holds is relative to the file's folder, so that it means the same from everywhere."""
        match flag_name(option):
            case "board":
                names_file = text.endswith(".toml")
            case "database":
                names_file = "://" not in text
            case _:
                names_file = isinstance(option.type, click.Path)
        return str(self.path.parent / text) if names_file else text
