"""Reads TOML; what its tables must hold is checked by aebert.support.checked_files."""

from __future__ import annotations

import sys
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import read_input

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Boards and configurations have a few kilobytes; tomllib takes time and memory in proportion.
LARGEST_TOML = 1 << 20


def parse_toml(content: bytes, file: str) -> dict[str, object]:
    """The top table of ``content``. ``file`` is its name in errors."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise AebertError(f"{file}: is not UTF-8 text at byte {error.start}; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # of tomllib, and of int() for numbers of more than 4300 digits
        raise AebertError(f"{file}: is not valid TOML: {error}") from error


def read_toml(path: Path) -> dict[str, object]:
    """The top table of the file at ``path``."""
    return parse_toml(read_input(path, LARGEST_TOML, "give a TOML file that can be read"), str(path))
