"""The Transformer layers of an ONNX graph, one after another along the hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aebert.models.encoder import EncoderLayer, EncoderShape, Linear
from aebert.numerics.activation import FfnActivation
from aebert.onnx_exchange.activations import find_activation
from aebert.onnx_exchange.attention import FoundAttention, find_attention
from aebert.onnx_exchange.graph import Graph, Node
from aebert.onnx_exchange.graph_patterns import FoundLinear, FoundNorm, close, find_linear
from aebert.onnx_exchange.operators import MICROSOFT

# What only a Transformer layer has: behind the last recognised one there must be none of these.
_OF_A_LAYER = frozenset({"Softmax", "Attention", f"{MICROSOFT}Attention", f"{MICROSOFT}MultiHeadAttention"})


@dataclass(frozen=True)
class FoundLayer:
    """A layer from ``input`` to ``output`` (values), with its number of heads and LayerNorm epsilon."""

    input: str
    output: str
    layer: EncoderLayer
    heads: int
    epsilon: float
    activation: FfnActivation


def find_layers(graph: Graph, norms: Sequence[FoundNorm], hidden: str) -> tuple[FoundLayer, ...]:
    """All layers from ``hidden`` on. Raises AebertError for the first node that does not fit."""
    layers: list[FoundLayer] = []
    while True:
        norm = _residual_norm(graph, norms, hidden)
        if norm is None:
            break
        layers.append(_find_layer(graph, norms, hidden, norm))
        hidden = layers[-1].output
    if not layers or _has_attention(graph, hidden):
        reader = next(graph.readers(hidden), None)
        raise graph.refuse(
            reader or hidden,
            f"layer {len(layers)} of a post-LayerNorm encoder (attention, residual addition, LayerNorm)",
        )
    return tuple(layers)


def shape_of(graph: Graph, layers: Sequence[FoundLayer], max_positions: int) -> EncoderShape:
    """The sizes that all layers share. Raises AebertError if they share none."""
    first = layers[0]
    for number, found in enumerate(layers):
        same_sizes = found.layer.ffn_in.weight.shape == first.layer.ffn_in.weight.shape
        same = (found.heads, found.activation) == (first.heads, first.activation)
        if not same or not same_sizes or not close(found.epsilon, first.epsilon):
            raise graph.refuse(
                found.output,
                f"layer {number} with the sizes of layer 0 ({first.heads} heads, {first.activation}, "
                f"epsilon {first.epsilon:g}, {first.layer.ffn_in.weight.shape[0]} FFN channels)",
            )
    ffn, hidden = first.layer.ffn_in.weight.shape
    return EncoderShape(
        layers=len(layers),
        hidden=hidden,
        heads=first.heads,
        ffn=ffn,
        epsilon=decimal_epsilon(first.epsilon),
        max_positions=max_positions,
        activation=first.activation,
    )


def decimal_epsilon(epsilon: float) -> float:
    """The short decimal number that was rounded to float32 on export: 9.99999996e-13 was 1e-12."""
    return float(f"{epsilon:.5g}")


def _residual_norm(graph: Graph, norms: Sequence[FoundNorm], hidden: str) -> FoundNorm | None:
    """The LayerNorm of a sum in which ``hidden`` stands as it is."""
    for norm in norms:
        if hidden in norm.terms and len(norm.terms) > 1:
            return norm
    return None


def _branch(graph: Graph, norm: FoundNorm, residual: str) -> FoundLinear:
    """The linear layer whose output is added to ``residual`` before ``norm``."""
    terms = list(norm.terms)
    terms.remove(residual)
    return find_linear(graph, terms, norm.node)


def _find_layer(graph: Graph, norms: Sequence[FoundNorm], hidden: str, norm: FoundNorm) -> FoundLayer:
    output = _branch(graph, norm, hidden)
    attention = find_attention(graph, output.input, hidden)
    if attention.input != hidden:
        raise graph.refuse(
            graph.maker(attention.input) or attention.input, "the layer's input, read by query, key, value"
        )
    middle = norm.output
    last = _residual_norm(graph, norms, middle)
    if last is None:
        reader: Node | str = next(graph.readers(middle), None) or middle
        raise graph.refuse(reader, "an FFN (linear, GELU, linear), a residual addition and a LayerNorm")
    ffn_out = _branch(graph, last, middle)
    known = {each.output for each in norms}
    terms, activation = find_activation(graph, ffn_out.input, known.__contains__)
    ffn_in = find_linear(graph, terms, ffn_out.product)
    if ffn_in.input != middle:
        raise graph.refuse(ffn_in.product, "the output of the layer's first LayerNorm as its input")
    if not close(norm.epsilon, last.epsilon):
        raise graph.refuse(last.node, f"the epsilon of the layer's first LayerNorm, {norm.epsilon:g}")
    layer = EncoderLayer(
        query=attention.query,
        key=attention.key,
        value=attention.value,
        attention_output=output.linear,
        ffn_in=ffn_in.linear,
        ffn_out=ffn_out.linear,
        attention_norm=norm.norm,
        ffn_norm=last.norm,
    )
    _check_sizes(graph, norm.node, layer, attention)
    return FoundLayer(hidden, last.output, layer, attention.heads, norm.epsilon, activation)


def _check_sizes(graph: Graph, node: Node, layer: EncoderLayer, attention: FoundAttention) -> None:
    hidden, ffn = layer.attention_norm.gamma.size, layer.ffn_in.bias.size
    square = (layer.query, layer.key, layer.value, layer.attention_output)

    def fits(linear: Linear, outputs: int, inputs: int) -> bool:
        return linear.weight.shape == (outputs, inputs) and linear.bias.shape == (outputs,)

    if not all(fits(linear, hidden, hidden) for linear in square) or hidden % attention.heads:
        raise graph.refuse(node, f"query, key, value and attention output of {hidden} channels each")
    if not fits(layer.ffn_in, ffn, hidden) or not fits(layer.ffn_out, hidden, ffn):
        raise graph.refuse(node, f"an FFN from {hidden} channels to {hidden} channels behind it")


def _has_attention(graph: Graph, hidden: str) -> bool:
    moving = graph.descendants(hidden)
    for node in graph.nodes:
        read = [value for value in node.inputs if value in moving]
        if read and (node.op in _OF_A_LAYER or (node.op == "MatMul" and len(read) > 1)):
            return True
    return False
