"""ONNX models on disk: checked, then there as a whole, with their weights outside once they no longer fit inside."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import onnx
from google.protobuf.message import EncodeError

from aebert.onnx_exchange.onnx_file import PROTOBUF_LIMIT
from aebert.support.atomic_files import whole_file
from aebert.support.errors import AebertError

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
    with ExitStack() as stack:
        # Files that lie together take their places together, the data first: a model without it cannot be read, data
        # without a model is only unused.
        temporary = stack.enter_context(whole_file(path))
        beside = None if data is None else stack.enter_context(whole_file(data))
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            made = Path(folder) / path.name
            _save_and_check(model, made, None if data is None else data.name, path)
            if data is not None and beside is not None:
                (Path(folder) / data.name).replace(beside)
            made.replace(temporary)
    return (path,) if data is None else (path, data)


def _save_and_check(model: onnx.ModelProto, made: Path, data_name: str | None, path: Path) -> None:
    try:
        onnx.save_model(
            model,
            made,
            save_as_external_data=data_name is not None,
            location=data_name,
            size_threshold=_SMALL,
        )
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, EncodeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AebertError(f"{path}: onnx.checker refuses the export ({reason}); please report it") from None
