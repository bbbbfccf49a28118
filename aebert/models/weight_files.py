"""Tensors of a checkpoint (safetensors or PyTorch's own format), whole or in shards, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel
from safetensors import safe_open

from aebert.models.config_json import ADAPTER_FILE, adapter_message
from aebert.models.encoder import FloatArray
from aebert.models.pickled_weights import INDEX_FILE as PICKLED_INDEX_FILE
from aebert.models.pickled_weights import WEIGHTS_FILE as PICKLED_WEIGHTS_FILE
from aebert.models.pickled_weights import read_pickled
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular, foreign, quoted

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_DAMAGED = "truncated or damaged safetensors file"
_AGAIN = "copy or download it again"
# What NumPy has, and bfloat16; packed formats of fewer bits need the scales of whoever made them.
_KINDS = frozenset(
    {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64", "C128"}
)


@dataclass(frozen=True)
class WeightFiles:
    """Which file of ``directory`` holds each tensor.

    ``stored`` gives the names in the files of those that are called otherwise here. ``pickled`` holds the tensors of
    PyTorch's own files by their stored names.
    """

    directory: Path
    files: Mapping[str, Path]
    stored: Mapping[str, str] = field(default_factory=dict)
    pickled: Mapping[str, torch.Tensor] = field(default_factory=dict, compare=False, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str) -> npt.NDArray[np.generic]:
        """A tensor as stored; bfloat16, which NumPy lacks, as float32."""
        path, stored = self.files[name], self.stored.get(name, name)
        if stored in self.pickled:
            tensor = self.pickled[stored].detach()
            return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
        with foreign(path, _DAMAGED, _AGAIN):
            with safe_open(path, framework="numpy") as file:
                kind = file.get_slice(stored).get_dtype()
                if kind not in _KINDS:
                    raise AebertError(
                        f"{path}: tensor {quoted(name)} is {kind}; give a checkpoint with floating-point weights of "
                        "at least 16 bits"
                    )
                if kind != "BF16":
                    return np.asarray(file.get_tensor(stored))
            with safe_open(path, framework="pt") as file:
                return np.asarray(file.get_tensor(stored).float().numpy())

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, without reading it."""
        path, stored = self.files[name], self.stored.get(name, name)
        if stored in self.pickled:
            return tuple(self.pickled[stored].shape)
        with foreign(path, _DAMAGED, _AGAIN), safe_open(path, framework="numpy") as file:
            return tuple(file.get_slice(stored).get_shape())

    @property
    def as_transformers_reads(self) -> bool:
        """Whether the files are safetensors with the names that transformers gives the model's parameters."""
        return not self.stored and not self.pickled

    def without_prefix(self, prefix: str) -> WeightFiles:
        """The same tensors, ``prefix`` taken off the names that begin with it."""
        stored = {name.removeprefix(prefix): name for name in self.files}
        if len(stored) != len(self.files):
            raise AebertError(f"{self.directory}: tensors with and without {prefix!r} before their names; remove one")
        files = {name: self.files[old] for name, old in stored.items()}
        return replace(self, files=files, stored={name: old for name, old in stored.items() if name != old})

    def read_float(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """A finite, C-contiguous float32 tensor of the given shape. Raises AebertError that names the tensor."""
        if name not in self.files:
            raise AebertError(f"{self.directory}: tensor {name!r} is missing; the checkpoint is not complete")
        tensor = self.read(name)
        path = self.files[name]
        if not np.issubdtype(tensor.dtype, np.floating):
            raise AebertError(
                f"{path}: tensor {name!r} is {tensor.dtype}; give a checkpoint with floating-point weights"
            )
        if tensor.shape != shape:
            raise AebertError(f"{path}: tensor {name!r} has shape {tensor.shape}, config.json asks for {shape}")
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(tensor, dtype=np.float32)
        if not np.isfinite(array).all():
            raise AebertError(f"{path}: tensor {name!r} holds NaN or infinite values; save the model again")
        return array

    def read_all(self) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        """Every tensor with its name, floating-point ones as float32."""
        for name in self.files:
            tensor = self.read(name)
            floating = np.issubdtype(tensor.dtype, np.floating)
            yield name, np.ascontiguousarray(tensor, dtype=np.float32 if floating else tensor.dtype)


def open_checkpoint(directory: Path) -> WeightFiles:
    """Find the tensors of a model directory. Raises AebertError for weights that are missing, damaged, or not plain."""
    for name in (WEIGHTS_FILE, INDEX_FILE, PICKLED_WEIGHTS_FILE, PICKLED_INDEX_FILE):
        check_regular(directory / name, "give a directory with safetensors weights")
    if (directory / WEIGHTS_FILE).is_file():
        return WeightFiles(directory, dict.fromkeys(_tensor_names(directory / WEIGHTS_FILE), directory / WEIGHTS_FILE))
    if (directory / INDEX_FILE).is_file():
        return WeightFiles(directory, _sharded_files(directory))
    if (directory / PICKLED_WEIGHTS_FILE).is_file():
        tensors = read_pickled(directory / PICKLED_WEIGHTS_FILE)
        return WeightFiles(directory, dict.fromkeys(tensors, directory / PICKLED_WEIGHTS_FILE), pickled=tensors)
    if (directory / PICKLED_INDEX_FILE).is_file():
        return _pickled_shards(directory)
    if (directory / ADAPTER_FILE).is_file():
        raise AebertError(adapter_message(directory))
    raise AebertError(
        f"{directory}: {WEIGHTS_FILE} is missing; give a directory with safetensors weights or {PICKLED_WEIGHTS_FILE}"
    )


def _pickled_shards(directory: Path) -> WeightFiles:
    files = _weight_map(directory / PICKLED_INDEX_FILE)
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(set(files.values())):
        tensors.update(read_pickled(path))
    for name, path in files.items():
        if name not in tensors:
            raise AebertError(f"{path}: tensor {name!r} named by {PICKLED_INDEX_FILE} is missing; save the model again")
    return WeightFiles(directory, files, pickled=tensors)


def _sharded_files(directory: Path) -> dict[str, Path]:
    files = _weight_map(directory / INDEX_FILE)
    held = {path: set(_tensor_names(path)) for path in sorted(set(files.values()))}
    for name, path in files.items():
        if name not in held[path]:
            raise AebertError(f"{path}: tensor {name!r} named by {INDEX_FILE} is missing; save the model again")
    return files


class _Index(BaseModel):
    weight_map: dict[str, str]


def _weight_map(index: Path) -> dict[str, Path]:
    """The file of each tensor, all beside ``index``."""
    weight_map = read_json(_Index, index, "save the model again").weight_map
    if not weight_map:
        raise AebertError(f"{index}: field 'weight_map' must map tensor names to files; save the model again")
    files: dict[str, Path] = {}
    for name, shard in weight_map.items():
        if Path(shard).name != shard or shard in ("", ".", ".."):
            raise AebertError(f"{index}: tensor {name!r} lies in {shard!r}, which is not a plain file name")
        files[name] = index.parent / shard
    return files


def _tensor_names(path: Path) -> list[str]:
    if not path.is_file():
        raise AebertError(f"{path}: no such file; the checkpoint is not complete")
    with foreign(path, _DAMAGED, _AGAIN), safe_open(path, framework="numpy") as file:
        return sorted(file.keys())
