"""What was scheduled before, in the user's own cache and under a digest of all that it rests on.

Never in a project's folder: that may come from anyone, and what lies there under a key that fits would be believed.
Where the user has no such folder everything is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from aebert.support.atomic_files import write_bytes, write_json
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.support.native_build import user_cache

T = TypeVar("T")

PACKAGES = ("llvmlite", "ziglang")
_FOLDER = "schedules"


def key_of(*facts: str) -> str:
    """Digest of ``facts``, of the scheduler's own files and of the packages' versions. PackageNotFoundError without."""
    digest = hashlib.sha256(_scheduler_digest().encode())
    for fact in facts:
        digest.update(hashlib.sha256(fact.encode(errors="surrogateescape")).digest())
    return digest.hexdigest()


def kept(kind: type[T], key: str) -> T | None:
    """What was kept under ``key``; None where there is nothing, or what is there is damaged."""
    try:
        return read_json(kind, _folder() / f"{key}.json", "schedule again")
    except AebertError:
        return None


def keep(key: str, value: Mapping[str, object]) -> None:
    with suppress(AebertError):
        write_json(_folder() / f"{key}.json", value)


def kept_bytes(key: str) -> bytes | None:
    try:
        return (_folder() / key).read_bytes()
    except (AebertError, OSError):
        return None


def keep_bytes(key: str, content: bytes) -> None:
    with suppress(AebertError):
        write_bytes(_folder() / key, content)


def _folder() -> Path:
    return user_cache() / _FOLDER


@lru_cache(maxsize=1)
def _scheduler_digest() -> str:
    own = Path(str(files("codegen.schedule")))
    digest = hashlib.sha256("".join(f"{package} {version(package)} " for package in PACKAGES).encode())
    for path in sorted(own.rglob("*")):
        if path.suffix in (".py", ".h", ".json"):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
