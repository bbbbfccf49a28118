"""What to feed an exported encoder with, once, to see its shapes: two short sequences, the second one padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.helper import tensor_dtype_to_np_dtype

from aebert.onnx_exchange.graph import Role
from aebert.onnx_exchange.onnx_file import OnnxFile
from aebert.support.errors import AebertError

# Unequal, so that no axis can be taken for another, and short.
_BATCH, _LENGTH = 2, 6
_MOST_TOKENS = 1 << 14
_MASKED_SCORE = -1e4
_SEED = 20221

_ROLE_OF_NAME: Mapping[str, Role] = {"input_ids": "words", "token_type_ids": "types", "position_ids": "positions"}
_CARRYING = frozenset({"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"})


@dataclass(frozen=True)
class SampleInputs:
    """``feeds`` by input name; ``valid`` tokens of each sequence, the rest of its ``length`` is masked."""

    feeds: Mapping[str, npt.NDArray[Any]]
    roles: Mapping[str, Role]
    batch: int
    length: int
    valid: tuple[int, ...]


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: np.dtype[Any]
    dims: tuple[int | None, ...]
    table_rows: int | None


def sample_inputs(file: OnnxFile) -> SampleInputs:
    """Feeds that every encoder export accepts. Raises AebertError for inputs that are none of an encoder's."""
    held = {tensor.name: tensor for tensor in file.model.graph.initializer}
    rows = _table_rows(file.model.graph, held)
    inputs = [
        _describe(file, value, rows.get(value.name)) for value in file.model.graph.input if value.name not in held
    ]
    roles = _roles(inputs)
    if not any(role in ("words", "states") for role in roles.values()):
        raise AebertError(
            f"{file.path}: inputs {[each.name for each in inputs]} hold neither token numbers nor hidden states; "
            "give the encoder of a BERT, RoBERTa, DistilBERT or ELECTRA model"
        )
    main = next(each for each in inputs if roles[each.name] in ("words", "states"))
    batch, length = main.dims[0] or _BATCH, main.dims[1] or _LENGTH
    if batch * length > _MOST_TOKENS:
        raise AebertError(
            f"{file.path}: takes {batch} x {length} tokens at once; export it for fewer, or for any number"
        )
    read = {name for node in file.model.graph.node for name in node.input}
    masks = [each for each in inputs if roles[each.name] == "mask" and each.name in read]
    can_mask = batch > 1 and length > 1 and masks and all(each.dims[0] in (None, batch) for each in masks)
    valid = (length,) + (length - 1 if can_mask else length,) * (batch - 1)
    random = np.random.default_rng(_SEED)
    feeds = {each.name: _feed(each, roles[each.name], batch, length, valid, random) for each in inputs}
    return SampleInputs(feeds, roles, batch, length, valid)


def _describe(file: OnnxFile, value: onnx.ValueInfoProto, table_rows: int | None) -> _Input:
    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim)
    try:
        dtype = np.dtype(tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        raise AebertError(f"{file.path}: input {value.name!r} is not a tensor; export the model again") from None
    allowed = {2, 3, 4} if dtype == np.bool_ or np.issubdtype(dtype, np.floating) else {2}
    if len(dims) not in allowed:
        raise AebertError(
            f"{file.path}: input {value.name!r} ({dtype}) has {len(dims)} axes; an encoder takes token numbers "
            "[batch, tokens], hidden states [batch, tokens, hidden] and masks"
        )
    if len(dims) == 3 and np.issubdtype(dtype, np.floating) and dims[2] is None:
        raise AebertError(f"{file.path}: input {value.name!r}: the hidden size must be fixed; export it so")
    return _Input(value.name, dtype, dims, table_rows)


def _table_rows(graph: onnx.GraphProto, held: Mapping[str, onnx.TensorProto]) -> dict[str, int]:
    """How many rows the table has that an input picks from, by input name."""
    carried = {value.name: value.name for value in graph.input}
    tables = {name: tensor.dims[0] for name, tensor in held.items() if len(tensor.dims) == 2}
    rows: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in _CARRYING and node.input:
            if node.input[0] in carried:
                carried[node.output[0]] = carried[node.input[0]]
            if node.input[0] in tables and node.op_type in ("Identity", "Cast"):
                tables[node.output[0]] = tables[node.input[0]]
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] in carried:
            rows[carried[node.input[1]]] = tables[node.input[0]]
        if node.op_type == "EmbedLayerNormalization":
            pairs = [(node.input[0], 2), (node.input[1], 4), (node.input[8] if len(node.input) > 8 else "", 3)]
            for picked, table in pairs:
                if picked in carried and node.input[table] in tables:
                    rows[carried[picked]] = tables[node.input[table]]
    return rows


def _roles(inputs: Sequence[_Input]) -> dict[str, Role]:
    """By what an input does; names decide only between inputs that do the same."""
    roles: dict[str, Role] = {}
    picking = []
    for each in inputs:
        if np.issubdtype(each.dtype, np.floating) and len(each.dims) == 3:
            roles[each.name] = "states"
        elif each.table_rows is None:
            roles[each.name] = "mask"
        elif each.name in _ROLE_OF_NAME:
            roles[each.name] = _ROLE_OF_NAME[each.name]
        else:
            picking.append(each)
    # Of tables that are alike in use, types are fewest and words most.
    by_size = sorted(picking, key=lambda each: each.table_rows or 0, reverse=True)
    free: list[Role] = [role for role in ("words", "types", "positions") if role not in roles.values()]
    if len(by_size) == 3:
        free = ["words", "positions", "types"]
    for each, role in zip(by_size, free, strict=False):
        roles[each.name] = role
    return {each.name: roles.get(each.name, "mask") for each in inputs}


def _feed(
    each: _Input, role: Role, batch: int, length: int, valid: Sequence[int], random: np.random.Generator
) -> npt.NDArray[Any]:
    shape = (batch, length)
    rows = each.table_rows or 2
    if role == "words":
        # The upper half: padding and other special tokens stand first in a vocabulary.
        return random.integers(rows // 2, rows, shape).astype(each.dtype)
    if role == "types":
        return random.integers(0, rows, shape).astype(each.dtype)
    if role == "positions":
        return np.broadcast_to(np.arange(length), shape).astype(each.dtype)
    if role == "states":
        return random.standard_normal((*shape, each.dims[2] or 1)).astype(each.dtype)
    kept = np.arange(length) < np.asarray(valid)[:, None]
    rank = len(each.dims)
    target = tuple(
        given or natural
        for given, natural in zip(each.dims, (batch, *(1, length)[4 - rank :], length), strict=True)
    ) if rank > 2 else shape  # fmt: skip
    kept = np.broadcast_to(kept.reshape(batch, *(1,) * (rank - 2), length)[: target[0]], target)
    if rank > 2 and np.issubdtype(each.dtype, np.floating):
        return np.where(kept, 0.0, _MASKED_SCORE).astype(each.dtype)
    return kept.astype(each.dtype)
