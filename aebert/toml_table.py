"""Reads a TOML file field by field: every wrong, missing or unknown field is one sentence with file and field."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aebert.errors import AebertError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class TomlTable:
    """One table of a TOML file. Readers take a field; ``finish`` refuses the fields that nobody took.

    Every method raises ``AebertError`` naming ``file`` and the field's full name, such as ``memory.kind``.
    """

    file: str
    prefix: str
    fields: Mapping[str, object]
    _taken: set[str] = field(default_factory=set)

    def error(self, key: str, problem: str) -> AebertError:
        """The error for ``key`` of this table; for the caller to raise."""
        return AebertError(f"{self.file}: field {self.prefix}{key}: {problem}")

    def _take(self, key: str) -> object:
        self._taken.add(key)
        if key not in self.fields:
            raise self.error(key, "is missing; add it")
        return self.fields[key]

    def has(self, key: str) -> bool:
        return key in self.fields

    def text(self, key: str) -> str:
        """A non-empty string."""
        value = self._take(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"must be a non-empty string, not {value!r}")
        return value

    def choice(self, key: str, choices: Sequence[Choice]) -> Choice:
        """One of ``choices``."""
        value = self._take(key)
        for allowed in choices:
            if value == allowed:
                return allowed
        raise self.error(key, f"must be one of {', '.join(choices)}, not {value!r}")

    def integer(self, key: str, minimum: int, maximum: int) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(key, f"must be a whole number, not {value!r}")
        if not minimum <= value <= maximum:
            raise self.error(key, f"must lie in {minimum}..{maximum}, not {value}")
        return value

    def number(self, key: str, minimum: float, maximum: float) -> float:
        value = self._take(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self.error(key, f"must be a number, not {value!r}")
        if not minimum <= value <= maximum:
            raise self.error(key, f"must lie in {minimum:g}..{maximum:g}, not {value:g}")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {value!r}")
        return value

    def table(self, key: str) -> TomlTable:
        value = self._take(key)
        if not isinstance(value, dict):
            raise self.error(key, f"must be a table, not {value!r}")
        return TomlTable(self.file, f"{self.prefix}{key}.", value)

    def tables(self, key: str) -> Sequence[TomlTable]:
        """A non-empty array of tables; the errors of the first one name ``key[0].…``."""
        value = self._take(key)
        if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
            raise self.error(key, "must be one or more tables")
        return [TomlTable(self.file, f"{self.prefix}{key}[{i}].", entry) for i, entry in enumerate(value)]

    def finish(self) -> None:
        """Refuse fields that were never read: most often a misspelt name."""
        unknown = sorted(set(self.fields) - self._taken)
        if unknown:
            raise self.error(unknown[0], f"is not known here; there are {', '.join(sorted(self._taken))}")


def parse_toml(content: bytes, file: str) -> TomlTable:
    """The top table of ``content``. ``file`` is its name in errors."""
    try:
        return TomlTable(file, "", tomllib.loads(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise AebertError(f"{file}: is not UTF-8 text at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise AebertError(f"{file}: is not valid TOML: {error}") from error


def read_toml(path: Path) -> TomlTable:
    """The top table of the file at ``path``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AebertError(f"{path}: {error.strerror}; give a TOML file that can be read") from error
    return parse_toml(content, str(path))
