"""Tensors of a safetensors checkpoint, whole or in shards, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from aebert.encoder import FloatArray
from aebert.errors import AebertError
from aebert.models.config import read_json_object

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True)
class Checkpoint:
    """Which file of ``directory`` holds each tensor."""

    directory: Path
    files: Mapping[str, Path]

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str) -> npt.NDArray[np.generic]:
        """A tensor as stored; bfloat16, which NumPy lacks, as float32."""
        path = self.files[name]
        try:
            with safe_open(path, framework="numpy") as file:
                if file.get_slice(name).get_dtype() != "BF16":
                    return np.asarray(file.get_tensor(name))
            with safe_open(path, framework="pt") as file:
                return np.asarray(file.get_tensor(name).float().numpy())
        except (SafetensorError, OSError) as error:
            raise AebertError(_damaged(path, error)) from None

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


def open_checkpoint(directory: Path) -> Checkpoint:
    """Find the tensors of a model directory. Raises AebertError for missing, pickled or damaged weights."""
    if (directory / WEIGHTS_FILE).is_file():
        return Checkpoint(directory, dict.fromkeys(_tensor_names(directory / WEIGHTS_FILE), directory / WEIGHTS_FILE))
    if (directory / INDEX_FILE).is_file():
        return Checkpoint(directory, _sharded_files(directory))
    if any(directory.glob("*.bin")):
        raise AebertError(
            f"{directory}: only pickled weights (*.bin) found, which can run code when read; "
            "convert them with save_pretrained(..., safe_serialization=True)"
        )
    raise AebertError(f"{directory}: {WEIGHTS_FILE} is missing; give a directory with safetensors weights")


def _sharded_files(directory: Path) -> dict[str, Path]:
    index = directory / INDEX_FILE
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise AebertError(f"{index}: field 'weight_map' must map tensor names to files; save the model again")
    files: dict[str, Path] = {}
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or shard in ("", ".", ".."):
            raise AebertError(f"{index}: tensor {name!r} lies in {shard!r}, which is not a plain file name")
        files[name] = directory / shard
    held = {path: set(_tensor_names(path)) for path in sorted(set(files.values()))}
    for name, path in files.items():
        if name not in held[path]:
            raise AebertError(f"{path}: tensor {name!r} named by {INDEX_FILE} is missing; save the model again")
    return files


def _tensor_names(path: Path) -> list[str]:
    if not path.is_file():
        raise AebertError(f"{path}: no such file; the checkpoint is not complete")
    try:
        with safe_open(path, framework="numpy") as file:
            return sorted(file.keys())
    except (SafetensorError, OSError) as error:
        raise AebertError(_damaged(path, error)) from None


def _damaged(path: Path, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{path}: truncated or damaged safetensors file ({reason}); copy or download it again"
