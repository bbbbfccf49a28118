"""Tensors of PyTorch's own files (*.bin), read without running what a pickle may ask for."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from aebert.support.errors import AebertError

WEIGHTS_FILE = "pytorch_model.bin"
INDEX_FILE = "pytorch_model.bin.index.json"


def read_pickled(path: Path) -> Mapping[str, torch.Tensor]:
    """The state dict in ``path``: tensors by name, nothing else (``weights_only``), mapped where the format allows.

    Raises AebertError for a file that is missing or damaged, or that holds anything but named tensors.
    """
    if not path.is_file():
        raise AebertError(f"{path}: no such file; the checkpoint is not complete")
    try:
        content = _load(path)
    except pickle.UnpicklingError:
        raise AebertError(
            f"{path}: not a plain state dict: reading it would run code, which is refused; "
            "save the model with save_pretrained"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AebertError(f"{path}: truncated or damaged ({reason}); copy or download it again") from None
    if not isinstance(content, Mapping) or not content:
        raise AebertError(f"{path}: holds {type(content).__name__}, not named tensors; save model.state_dict()")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise AebertError(
                f"{path}: entry {name!r} is {type(tensor).__name__}, not a plain tensor; save model.state_dict()"
            )
    return content


def _load(path: Path) -> object:
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the format before PyTorch 1.6 cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    return content
