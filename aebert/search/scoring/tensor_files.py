"""Tensors kept on disk between the processes of a search: files that are whole or absent, and mapped, not read.

A part carries the key of what it was made from and a digest of its content. Whoever prepares checks the digest before
it takes an earlier run's part for its own; workers map the file, so that they share its pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aebert.support.atomic_files import whole_file
from aebert.support.errors import AebertError
from aebert.support.json_digest import json_digest

_AGAIN = "delete it and prepare the search again"


def make_key(**facts: object) -> str:
    """SHA-256 (hex) over JSON-able facts: what a part's content follows from."""
    return json_digest(facts)


def write_part(path: Path, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write under a temporary name in the same folder, then rename. Raises AebertError where that cannot be done."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"key": key, "digest": _content_digest(contiguous)}
    with whole_file(path) as temporary:
        save_file(contiguous, temporary, metadata=metadata)


def part_is_whole(path: Path, key: str) -> bool:
    """Whether an earlier run left this very part, undamaged."""
    if not path.is_file():
        return False
    try:
        tensors = open_part(path, key)
    except AebertError:
        return False
    return _metadata(path).get("digest") == _content_digest(tensors)


def open_part(path: Path, key: str) -> dict[str, torch.Tensor]:
    """The tensors of a part, mapped: only what is used is read, into memory that processes share.

    Raises AebertError for a part that is absent, damaged or made from something else.
    """
    found = _metadata(path).get("key")
    if found != key:
        raise AebertError(f"{path}: made from another model, text or setting; {_AGAIN}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a handle, not a dict)
    except (OSError, SafetensorError) as error:
        raise AebertError(f"{path}: damaged ({str(error).splitlines()[0]}); {_AGAIN}") from None


def _metadata(path: Path) -> Mapping[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except FileNotFoundError:
        raise AebertError(f"{path}: missing; prepare the search again") from None
    except (OSError, SafetensorError) as error:
        raise AebertError(f"{path}: damaged ({str(error).splitlines()[0]}); {_AGAIN}") from None


def _content_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()
