"""ONNX models on disk: checked, then there as a whole, with their weights outside once they no longer fit inside."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from google.protobuf.message import EncodeError

from aebert.errors import AebertError
from aebert.onnx_exchange.onnx_file import PROTOBUF_LIMIT

# Tensors below this many bytes stay in the file, as shapes must.
_SMALL = 1024
# Names and nodes need room as well.
_ROOM = 1 << 24


def save_model(model: onnx.ModelProto, path: Path, inline_limit: int = PROTOBUF_LIMIT - _ROOM) -> tuple[Path, ...]:
    """Check ``model`` (onnx.checker, types and shapes) and write it; returns the files, the model's own first.

    Models with more than ``inline_limit`` bytes of weights have them in ``<path>.data``. Raises AebertError for a
    model that the checker refuses; nothing is then written.
    """
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    data = path.with_name(f"{path.name}.data") if weights > inline_limit else None
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        try:
            onnx.save_model(
                model,
                temporary,
                save_as_external_data=data is not None,
                location=None if data is None else data.name,
                size_threshold=_SMALL,
            )
            onnx.checker.check_model(temporary, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, EncodeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise AebertError(f"{path}: onnx.checker refuses the export ({reason}); please report it") from None
        # The data first: a model without it cannot be read, data without a model is only unused.
        if data is not None:
            (Path(folder) / data.name).replace(data)
        temporary.replace(path)
    return (path,) if data is None else (path, data)
