"""Sentence embeddings in ONNX: pooling, dense layers and normalisation as a sentence-transformers folder has them."""

from __future__ import annotations

import numpy as np

from aebert.models.pooling import PoolingMode
from aebert.models.sentence_modules import DenseActivation, DenseLayer, SentenceModules
from aebert.onnx_exchange.blocks import linear
from aebert.onnx_exchange.builder import BATCH, GraphBuilder

_OPERATOR_OF: dict[DenseActivation, str] = {
    "identity": "Identity",
    "tanh": "Tanh",
    "relu": "Relu",
    "gelu": "Gelu",
    "sigmoid": "Sigmoid",
}
_SMALLEST_LENGTH = 1e-12  # of torch.nn.functional.normalize


def add_sentence_embedding(builder: GraphBuilder, modules: SentenceModules, hidden: str, width: int) -> None:
    """The output ``sentence_embedding`` [batch, size] of ``hidden`` [batch, tokens, width], masked tokens left out."""
    is_token = builder.node("Not", ["is_padding"], "pooling.is_token")
    ones = builder.node("Cast", [is_token], "pooling.ones", to=1)
    numbered = builder.node("CumSum", [ones, builder.integers(1)], "pooling.running_count")
    counted = builder.node("Mul", [numbered, ones], "pooling.numbers")
    total = builder.node("ReduceSum", [ones, builder.integers([1])], "pooling.total", keepdims=1)
    parts = [_pooled(builder, mode, hidden, is_token, ones, counted, total) for mode in modules.modes]
    vector = parts[0] if len(parts) == 1 else builder.node("Concat", parts, "pooling.joined", axis=1)
    size = width * len(parts)
    for number, step in enumerate(modules.steps):
        name = f"sentence.{number}"
        if isinstance(step, DenseLayer):
            dense = linear(builder, f"{name}.dense", step.linear, vector)
            vector = builder.node(_OPERATOR_OF[step.activation], [dense], f"{name}.activation")
            size = step.linear.bias.size
        else:
            length = builder.node("ReduceL2", [vector, builder.integers([1])], f"{name}.length", keepdims=1)
            bounded = builder.node("Max", [length, builder.scalar(_SMALLEST_LENGTH)], f"{name}.bounded_length")
            vector = builder.node("Div", [vector, bounded], f"{name}.normalised")
    builder.output("sentence_embedding", vector, [BATCH, size])


def _pooled(
    builder: GraphBuilder, mode: PoolingMode, hidden: str, is_token: str, ones: str, counted: str, total: str
) -> str:
    """[batch, width]: the largest value of each channel, or a weighted sum over the tokens."""
    name = f"pooling.{mode}"
    if mode == "max":
        kept = builder.node("Unsqueeze", [is_token, builder.integers([2])], f"{name}.kept")
        values = builder.node(
            "Where", [kept, hidden, builder.scalar(float(np.finfo(np.float32).min))], f"{name}.values"
        )
        return builder.node("ReduceMax", [values, builder.integers([1])], name, keepdims=0)
    weights, divisor = ones, total
    if mode in ("cls", "lasttoken"):
        which = builder.scalar(1.0) if mode == "cls" else total
        weights = builder.node("Cast", [builder.node("Equal", [counted, which], f"{name}.is")], f"{name}.one", to=1)
        divisor = builder.scalar(1.0)
    elif mode == "mean_sqrt_len_tokens":
        divisor = builder.node("Sqrt", [total], f"{name}.divisor")
    elif mode == "weightedmean":
        weights = counted
        divisor = builder.node("ReduceSum", [counted, builder.integers([1])], f"{name}.divisor", keepdims=1)
    rows = builder.node("Unsqueeze", [weights, builder.integers([1])], f"{name}.weights")
    summed = builder.node("MatMul", [rows, hidden], f"{name}.sum")
    flat = builder.node("Squeeze", [summed, builder.integers([1])], f"{name}.flat")
    return builder.node("Div", [flat, divisor], name)
