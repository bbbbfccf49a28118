"""An ONNX file from an unknown hand: parsed, its external data kept to its own folder, nothing executed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.inliner import inline_local_functions

from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular, foreign, quoted

# A protobuf message cannot be larger; larger models keep their weights in external data files.
PROTOBUF_LIMIT = (1 << 31) - 1
# A 24-layer encoder that was exported node by node has some 3,000; patterns are sought in time that grows faster than
# their number.
LARGEST_GRAPH = 50_000
_DEEPEST_CALLS = 64
_EXPORT_AGAIN = "export the model again"


@dataclass(frozen=True)
class OnnxFile:
    """``model`` with local functions inlined and external data still outside; ``folder`` holds that data."""

    path: Path
    folder: Path
    model: onnx.ModelProto

    def array(self, tensor: onnx.TensorProto) -> npt.NDArray[np.generic]:
        """A tensor's values, read from the external data file if they are there."""
        with foreign(self.path, f"tensor {quoted(tensor.name)} cannot be read", _EXPORT_AGAIN):
            return np.asarray(numpy_helper.to_array(tensor, str(self.folder)))


def read_onnx_file(path: Path) -> OnnxFile:
    """Parse ``path``. Raises AebertError for what is no ONNX model, or whose external data is not beside it."""
    model = _parse(path)
    file = OnnxFile(path, path.parent, model)
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for tensor in (*model.graph.initializer, *_tensors(nodes)):
        _check_sizes(path, tensor)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_external(file, tensor)
    if model.functions:
        _check_functions(path, model)
        with foreign(path, "its functions cannot be inlined", _EXPORT_AGAIN):
            model = inline_local_functions(model)
    _check_nodes(path, len(model.graph.node))
    return OnnxFile(path, path.parent, model)


def _check_functions(path: Path, model: onnx.ModelProto) -> None:
    """Refuses functions that call themselves, over however many others, and those that grow beyond all measure."""
    bodies = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], above: tuple[tuple[str, str], ...]) -> int:
        """Nodes of the function when all it calls is inlined."""
        if key in above or len(above) > _DEEPEST_CALLS:
            raise AebertError(f"{path}: function {key[1]!r} calls itself, or too many others; {_EXPORT_AGAIN}")
        if key not in sizes:
            calls = [(node.domain, node.op_type) for node in bodies[key].node]
            sizes[key] = len(calls) + sum(size(call, (*above, key)) for call in calls if call in bodies)
        return sizes[key]

    calls = [(node.domain, node.op_type) for node in model.graph.node]
    for key in bodies:
        size(key, ())
    _check_nodes(path, len(calls) + sum(sizes[call] for call in calls if call in bodies))


def _check_nodes(path: Path, count: int) -> None:
    if count > LARGEST_GRAPH:
        raise AebertError(f"{path}: {count} nodes, more than {LARGEST_GRAPH}; no encoder is so large, {_EXPORT_AGAIN}")


def _parse(path: Path) -> onnx.ModelProto:
    check_regular(path, "give an .onnx file")
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
    _check_nodes(path, len(model.graph.node))
    if not model.graph.node or not model.opset_import:
        raise AebertError(f"{path}: holds no graph, so it is not an ONNX model; {_EXPORT_AGAIN}")
    return model


def _tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """The tensors that nodes hold, also in graphs inside them; a message holds no more than 100 of those in a row."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from graph.initializer
                yield from _tensors(graph.node)


def _check_sizes(path: Path, tensor: onnx.TensorProto) -> None:
    if any(size < 0 for size in tensor.dims):
        raise AebertError(f"{path}: tensor {tensor.name!r} has sizes {list(tensor.dims)}; {_EXPORT_AGAIN}")


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
