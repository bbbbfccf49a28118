"""An ONNX file from an unknown hand: parsed, its external data kept to its own folder, nothing executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.inliner import inline_local_functions

from aebert.errors import AebertError

# A protobuf message cannot be larger; larger models keep their weights in external data files.
PROTOBUF_LIMIT = (1 << 31) - 1
_EXPORT_AGAIN = "export the model again"


@dataclass(frozen=True)
class OnnxFile:
    """``model`` with local functions inlined and external data still outside; ``folder`` holds that data."""

    path: Path
    folder: Path
    model: onnx.ModelProto

    def array(self, tensor: onnx.TensorProto) -> npt.NDArray[np.generic]:
        """A tensor's values, read from the external data file if they are there."""
        try:
            return np.asarray(numpy_helper.to_array(tensor, str(self.folder)))
        except (ValueError, TypeError, OSError, onnx.checker.ValidationError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise AebertError(
                f"{self.path}: tensor {tensor.name!r} cannot be read ({reason}); {_EXPORT_AGAIN}"
            ) from None


def read_onnx_file(path: Path) -> OnnxFile:
    """Parse ``path``. Raises AebertError for what is no ONNX model, or whose external data is not beside it."""
    model = _parse(path)
    file = OnnxFile(path, path.parent, model)
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_external(file, tensor)
    if model.functions:
        try:
            model = inline_local_functions(model)
        except (ValueError, RuntimeError) as error:
            raise AebertError(f"{path}: its functions cannot be inlined ({str(error).splitlines()[0]})") from None
    return OnnxFile(path, path.parent, model)


def _parse(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise AebertError(f"{path}: no such file; give an .onnx file")
    size = path.stat().st_size
    if size > PROTOBUF_LIMIT:
        raise AebertError(f"{path}: {size} bytes, no ONNX file is larger than 2 GB; save it with external data")
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError:
        raise AebertError(f"{path}: truncated, or not an ONNX model; copy it or {_EXPORT_AGAIN}") from None
    except OSError as error:
        raise AebertError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not model.graph.node or not model.opset_import:
        raise AebertError(f"{path}: holds no graph, so it is not an ONNX model; {_EXPORT_AGAIN}")
    return model


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_external(file: OnnxFile, tensor: onnx.TensorProto) -> None:
    """The file and the bytes that ``tensor`` names lie beside the model."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    what = f"{file.path}: external data of tensor {tensor.name!r}"
    folder = file.folder.resolve()
    if not location or "\0" in location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise AebertError(f"{what} lies in {location!r}, outside the model's folder; refused")
    target = (folder / location).resolve()
    if not target.is_relative_to(folder):
        raise AebertError(
            f"{what} lies in {location!r}, a link out of the model's folder; copy the data beside the model"
        )
    if not target.is_file():
        raise AebertError(f"{what}: {location!r} is missing; copy it beside the model")
    try:
        offset, length = int(fields.get("offset", "0")), int(fields.get("length", "0"))
    except ValueError:
        raise AebertError(f"{what}: offset or length is not a number; {_EXPORT_AGAIN}") from None
    if offset < 0 or length < 0 or offset + length > target.stat().st_size:
        raise AebertError(f"{what}: {location!r} is truncated; copy it again")
