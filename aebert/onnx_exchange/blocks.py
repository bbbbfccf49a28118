"""Pieces of a Transformer that both exports are made of."""

from __future__ import annotations

from aebert.models.encoder import LayerNorm, Linear
from aebert.numerics.activation import FfnActivation
from aebert.onnx_exchange.builder import GraphBuilder


def linear(builder: GraphBuilder, name: str, layer: Linear, inputs: str) -> str:
    """``inputs`` [.., inputs] times the weight, plus the bias."""
    weight = builder.constant(f"{name}.weight", layer.weight.T)
    product = builder.node("MatMul", [inputs, weight], f"{name}.product")
    return builder.node("Add", [product, builder.constant(f"{name}.bias", layer.bias)], name)


def activation(builder: GraphBuilder, name: str, function: FfnActivation, value: str) -> str:
    """The FFN's activation function."""
    if function == "relu":
        return builder.node("Relu", [value], name)
    return builder.node("Gelu", [value], name, approximate="tanh" if function == "gelu_tanh" else "none")


def layer_norm(builder: GraphBuilder, name: str, norm: LayerNorm, epsilon: float, inputs: str) -> str:
    """LayerNorm over the last axis."""
    gamma, beta = builder.constant(f"{name}.gamma", norm.gamma), builder.constant(f"{name}.beta", norm.beta)
    return builder.node("LayerNormalization", [inputs, gamma, beta], name, epsilon=epsilon, axis=-1)


def split_heads(builder: GraphBuilder, name: str, value: str, heads: int, tokens_last: bool = False) -> str:
    """[batch, tokens, hidden] to [batch, heads, tokens, size], or [batch, heads, size, tokens] with ``tokens_last``."""
    # 0 keeps an axis, -1 takes what is left.
    cut = builder.node("Reshape", [value, builder.integers([0, 0, heads, -1])], f"{name}.cut")
    return builder.node("Transpose", [cut], f"{name}.heads", perm=[0, 2, 3, 1] if tokens_last else [0, 2, 1, 3])


def join_heads(builder: GraphBuilder, name: str, value: str) -> str:
    """[batch, heads, tokens, size] to [batch, tokens, hidden]."""
    swapped = builder.node("Transpose", [value], f"{name}.swapped", perm=[0, 2, 1, 3])
    return builder.node("Reshape", [swapped, builder.integers([0, 0, -1])], name)
