"""docs/numerics.md once more in plain Python integers, one number at a time: slow, and meant to be read beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLayerNorm, QuantisedLinear, Requantiser

Matrix = list[list[int]]

EXP = [round(255 * math.exp(-i / 64)) for i in range(512)]
DELTA = [round(2**15 * u * 0.5 * math.erfc(u / math.sqrt(2))) for u in ((i + 0.5) / 128 for i in range(511))] + [0]
SEED = [round(2**17 / math.sqrt((i + 32.5) / 32)) for i in range(96)]


def rs(z: int, n: int) -> int:
    return z if n == 0 else (z + 2 ** (n - 1)) // 2**n


def clamp(z: int, low: int, high: int) -> int:
    return min(max(z, low), high)


def sat8(z: int) -> int:
    return clamp(z, -127, 127)


def sat16(z: int) -> int:
    return clamp(z, -32767, 32767)


def satu8(z: int) -> int:
    return clamp(z, 0, 255)


def rq(z: int, requantiser: Requantiser, channel: int) -> int:
    assert -(2**31) <= z < 2**31
    return rs(z * int(requantiser.multiplier[channel]), int(requantiser.shift[channel]))


def inverse_sqrt(value: int) -> tuple[int, int]:
    assert 1 <= value < 2**51
    k = (value.bit_length() - 31) // 2
    m = value // 4**k if k >= 0 else value * 4**-k
    assert 2**30 <= m < 2**32
    y = SEED[m // 2**25 - 32]
    for _ in range(2):
        a = (y * y + 2**16) // 2**17
        b = m * a // 2**30
        y = y * (3 * 2**17 - b) // 2**18
    return min(y, 131071), k


def linear(x: Matrix, matrix: QuantisedLinear) -> Matrix:
    weight, bias = matrix.weight.tolist(), matrix.bias.tolist()
    return [
        [
            rq(sum(w * a for w, a in zip(row, token, strict=True)) + bias[c], matrix.requantiser, c)
            for c, row in enumerate(weight)
        ]
        for token in x
    ]


def softmax(scores: list[int]) -> list[int]:
    largest = max(scores)
    return [EXP[min(largest - s, 511)] for s in scores]


def layer_norm(y: Matrix, norm: QuantisedLayerNorm) -> tuple[Matrix, Matrix]:
    residual, x = [], []
    for token in y:
        hidden = len(token)
        s1, s2 = sum(token), sum(v * v for v in token)
        inverse, k = inverse_sqrt(hidden * s2 - s1 * s1 + norm.epsilon)
        n = [clamp(rs((hidden * v - s1) * inverse, 20 + k), -131071, 131071) for v in token]
        r = [sat16(rs(n[c] * int(norm.gain[c]) + int(norm.offset[c]), norm.shift)) for c in range(hidden)]
        residual.append(r)
        x.append([sat8(rq(r[c], norm.requantiser, c)) for c in range(hidden)])
    return residual, x


def gelu(h: int, fraction_bits: int) -> int:
    index = min(abs(h) // 2 ** (fraction_bits - 7), 511)
    return max(h, 0) - rs(DELTA[index], 15 - fraction_bits)


@dataclass(frozen=True)
class OracleLayer:
    query: Matrix
    key: Matrix
    value: Matrix
    scores: list[Matrix]
    probabilities: list[Matrix]
    context: Matrix
    attention_output: Matrix
    ffn_input: Matrix
    ffn_in: Matrix
    ffn_out: Matrix
    output: Matrix


def run_layer(layer: QuantisedLayer, heads: int, r_in: Matrix, x: Matrix) -> OracleLayer:
    tokens, hidden = len(x), len(x[0])
    size = hidden // heads
    q, k, v = (
        [[sat8(z) for z in token] for token in linear(x, matrix)] for matrix in (layer.query, layer.key, layer.value)
    )
    scores, probabilities = [], []
    context = [[0] * hidden for _ in range(tokens)]
    for n in range(heads):
        first = n * size
        s = [
            [
                sat16(rq(sum(q[t][d] * k[j][d] for d in range(first, first + size)), layer.scores, n))
                for j in range(tokens)
            ]
            for t in range(tokens)
        ]
        e = [softmax(row) for row in s]
        for t in range(tokens):
            reciprocal = 2**31 // sum(e[t])
            assert reciprocal < 2**24
            for d in range(first, first + size):
                u = rs(sum(e[t][j] * v[j][d] for j in range(tokens)) * reciprocal, 23)
                context[t][d] = sat8(rq(u, layer.context, d))
        scores.append(s)
        probabilities.append(e)
    p = linear(context, layer.attention_output)
    y = [[sat16(r_in[t][c] + p[t][c]) for c in range(hidden)] for t in range(tokens)]
    r_mid, x_mid = layer_norm(y, layer.attention_norm)
    h = [[sat16(z) for z in token] for token in linear(x_mid, layer.ffn_in)]
    a = [
        [satu8(rq(gelu(z, layer.gelu_fraction_bits), layer.gelu, c) + layer.gelu_zero_point) for c, z in enumerate(row)]
        for row in h
    ]
    p = linear(a, layer.ffn_out)
    y = [[sat16(r_mid[t][c] + p[t][c]) for c in range(hidden)] for t in range(tokens)]
    r_out, x_out = layer_norm(y, layer.ffn_norm)
    return OracleLayer(q, k, v, scores, probabilities, context, r_mid, x_mid, a, r_out, x_out)


def run_encoder(encoder: QuantisedEncoder, residual: npt.NDArray[np.int16]) -> list[OracleLayer]:
    r: Matrix = residual.tolist()
    x = [[sat8(rq(value, encoder.input_requantiser, c)) for c, value in enumerate(token)] for token in r]
    done = []
    for layer in encoder.layers:
        result = run_layer(layer, encoder.shape.heads, r, x)
        done.append(result)
        r, x = result.ffn_out, result.output
    return done
