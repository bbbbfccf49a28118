"""The program of passes that the accelerator executes: what, from where, to where, and after what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aebert.design.hardware_config import PROBABILITY_SLOTS, HardwareConfig, operand_layout
from aebert.design.head_places import head_channels, head_places, head_width, is_padded
from aebert.design.kernel_records import Buffer, PassFlag, PassKind
from aebert.models.encoder import EncoderShape, MatrixName
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer
from aebert.support.errors import AebertError

Stored = Literal["output", "layers", "all"]


@dataclass(frozen=True)
class Awaits:
    """Write-backs that must have arrived, counted from the start of the launch: at each engine from each of its
    processes, and of keys and values from each engine's requantiser (``held``)."""

    requantise: int = 0
    softmax: int = 0
    layer_norm: int = 0
    held: int = 0


@dataclass(frozen=True)
class Pass:
    """One step of a program; `fields` are those of the kernel's record (aebert.design.kernel_records.PASS).

    ``matrix`` is None where the weight tiles are keys or values, or where there are none. ``layer``, ``head`` and
    ``sequence`` are -1 where the pass is not about one. ``places``: where the model's channels lie among ``outputs``,
    the others being padding; None where they are all of them. ``channels``: which of the model's channels these are;
    None where they are all of the matrix's, or of the head's.
    """

    kind: PassKind
    layer: int = -1
    matrix: MatrixName | None = None
    outputs: int = 0
    head: int = -1
    sequence: int = -1
    store: bool = False
    unsigned_operands: bool = False
    tiles: int = 0
    first_group: int = 0
    group_count: int = 0
    length: int = 0
    source: int = 0
    weight_base: int = 0
    buffer: Buffer = Buffer.OPERANDS
    destination: int = 0
    places: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    awaits: Awaits = Awaits()
    scalars: tuple[int, int, int] = (0, 0, 0)

    @property
    def name(self) -> str:
        """The matrix, or "load", "scores", "context", "end"."""
        return self.matrix or self.kind.name.lower()

    @property
    def flags(self) -> PassFlag:
        return PassFlag(PassFlag.STORE * self.store | PassFlag.UNSIGNED_OPERANDS * self.unsigned_operands)

    def fields(self, parameter_word: int) -> dict[str, int]:
        """The kernel's record of this pass, whose parameters begin at word ``parameter_word``."""
        scalar, second_scalar, third_scalar = self.scalars
        return {
            "kind": self.kind,
            "flags": self.flags,
            "first_group": self.first_group,
            "group_count": self.group_count,
            "length": self.length,
            "buffer": self.buffer,
            "outputs": self.outputs,
            "tiles": self.tiles,
            "source": self.source,
            "weight_base": self.weight_base,
            "destination": self.destination,
            "await_requantise": self.awaits.requantise,
            "await_softmax": self.awaits.softmax,
            "await_layer_norm": self.awaits.layer_norm,
            "await_held": self.awaits.held,
            "scalar": scalar,
            "second_scalar": second_scalar,
            "third_scalar": third_scalar,
            "parameter_word": parameter_word,
        }

    def stored_vectors(self, config: HardwareConfig) -> int:
        """Channels x token groups that go to the output port."""
        if not self.store:
            return 0
        channels = _padded(self.length, config.in_lanes) if self.kind is PassKind.SCORES else self.outputs
        return channels * self.group_count


@dataclass(frozen=True)
class Program:
    """Passes in order, for sequences of these lengths."""

    passes: tuple[Pass, ...]
    lengths: tuple[int, ...]
    groups: int

    def stored_vectors(self, config: HardwareConfig) -> int:
        return sum(step.stored_vectors(config) for step in self.passes)


def _padded(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@dataclass
class _Counts:
    """Write-backs issued so far by the passes already in the program."""

    requantise: int = 0
    softmax: int = 0
    layer_norm: int = 0
    held: int = 0

    def all(self) -> Awaits:
        return Awaits(self.requantise, self.softmax, self.layer_norm, self.held)


def build_program(
    config: HardwareConfig, quantised: QuantisedEncoder, lengths: Sequence[int], *, stored: Stored = "output"
) -> Program:
    """The program that runs ``quantised`` on sequences of ``lengths`` tokens in one launch.

    ``stored`` says which results go to the output port: the last LayerNorm's residual, every LayerNorm's ("layers"),
    or every pass's ("all", for verification).
    Raises AebertError when the encoder, a length or all of them together exceed the design.
    """
    config.check_fits(quantised.shape)
    first_groups: list[int] = []
    groups = 0
    for number, length in enumerate(lengths):
        if not 1 <= length <= config.max_length:
            raise AebertError(f"sequence {number}: {length} tokens, the design takes 1 to {config.max_length}")
        first_groups.append(groups)
        groups += config.groups(length)
    if not 1 <= groups <= config.max_groups:
        raise AebertError(
            f"batch: {groups} token groups of {config.tokens} tokens, the design takes 1 to {config.max_groups}"
        )
    builder = _Builder(config, quantised.shape, tuple(lengths), tuple(first_groups), groups)
    passes = [builder.load()]
    for number, (layer, kept) in enumerate(zip(quantised.layers, quantised.kept_heads, strict=True)):
        passes += builder.layer(number, layer, kept)
    passes.append(builder.end())
    last = len(quantised.layers) - 1
    return Program(
        tuple(replace(step, store=_is_stored(step, stored, last)) for step in passes), tuple(lengths), groups
    )


def _is_stored(step: Pass, stored: Stored, last_layer: int) -> bool:
    if stored == "output":
        return step.matrix == "ffn_out" and step.layer == last_layer
    if stored == "layers":
        return step.kind is PassKind.RESIDUAL
    return step.kind is not PassKind.END


class _Builder:
    """Appends passes in program order and keeps count of the write-backs they will cause."""

    def __init__(
        self,
        config: HardwareConfig,
        shape: EncoderShape,
        lengths: tuple[int, ...],
        first_groups: tuple[int, ...],
        groups: int,
    ) -> None:
        self._config = config
        self._shape = shape
        self._lengths = lengths
        self._first_groups = first_groups
        self._groups = groups
        self._layout = operand_layout(config)
        self._head = head_width(shape, config.in_lanes)
        self._padded = is_padded(shape, config.in_lanes)
        self._context_base = self._layout.wide_base + shape.heads * self._head // config.in_lanes
        self._counts = _Counts()

    def load(self) -> Pass:
        step = Pass(
            PassKind.LOAD,
            outputs=self._shape.hidden,
            group_count=self._groups,
            destination=self._layout.hidden_base,
        )
        self._counts.layer_norm += step.outputs * step.group_count
        return step

    def end(self) -> Pass:
        return Pass(PassKind.END, awaits=self._counts.all())

    def layer(self, number: int, layer: QuantisedLayer, kept: tuple[int, ...]) -> Iterator[Pass]:
        ffn = self._shape.ffn
        wide, base = self._layout.wide_base, self._layout.hidden_base
        if kept:
            yield self._project("query", number, kept, Buffer.OPERANDS, wide)
            yield self._project("key", number, kept, Buffer.KEYS, 0)
            yield self._project("value", number, kept, Buffer.VALUES, 0)
            yield from self._attention(number, layer, kept)
        yield self._residual(
            "attention_output",
            number,
            layer.attention_norm.epsilon,
            layer.attention_norm.shift,
            source=self._context_base,
        )
        gelu = self._matmul(
            PassKind.GELU, "ffn_in", number, outputs=ffn, source=base, awaits=Awaits(layer_norm=self._counts.layer_norm)
        )
        self._counts.requantise += ffn * self._groups
        yield replace(gelu, destination=wide, scalars=(layer.gelu_zero_point, layer.gelu_fraction_bits, 0))
        yield replace(
            self._residual("ffn_out", number, layer.ffn_norm.epsilon, layer.ffn_norm.shift, source=wide),
            unsigned_operands=True,
        )

    def _matmul(
        self, kind: PassKind, name: MatrixName, layer: int, *, outputs: int, source: int, awaits: Awaits
    ) -> Pass:
        return Pass(kind, layer, name, outputs=outputs, group_count=self._groups, source=source, awaits=awaits)

    def _project(self, name: MatrixName, layer: int, kept: tuple[int, ...], buffer: Buffer, destination: int) -> Pass:
        step = self._matmul(
            PassKind.PROJECT,
            name,
            layer,
            outputs=len(kept) * self._head,
            source=self._layout.hidden_base,
            awaits=Awaits(layer_norm=self._counts.layer_norm),
        )
        if buffer is Buffer.OPERANDS:
            self._counts.requantise += step.outputs * step.group_count
        else:
            self._counts.held += step.outputs * step.group_count
        all_kept = len(kept) == self._shape.heads
        return replace(
            step,
            buffer=buffer,
            destination=destination,
            places=tuple(head_places(self._shape, self._config.in_lanes, kept).tolist()) if self._padded else None,
            channels=None if all_kept else tuple(head_channels(self._shape, kept).tolist()),
        )

    def _residual(self, name: MatrixName, layer: int, epsilon: int, shift: int, *, source: int) -> Pass:
        step = self._matmul(
            PassKind.RESIDUAL,
            name,
            layer,
            outputs=self._shape.hidden,
            source=source,
            awaits=Awaits(requantise=self._counts.requantise),
        )
        self._counts.layer_norm += step.outputs * step.group_count
        return replace(step, destination=self._layout.hidden_base, scalars=(epsilon >> 32, shift, epsilon & 0xFFFFFFFF))

    def _attention(self, layer: int, weights: QuantisedLayer, kept: tuple[int, ...]) -> Iterator[Pass]:
        """Scores run two heads ahead of the context: one softmax hides behind other heads' matmuls, also at the end.

        Scores need queries and keys, the context values too, which are projected last.
        """
        values = self._counts.held
        projected = Awaits(requantise=self._counts.requantise, held=values - len(kept) * self._head * self._groups)
        waiting: list[Pass] = []
        turn = 0
        for sequence in range(len(self._lengths)):
            for number, head in enumerate(kept):
                slot = turn % PROBABILITY_SLOTS
                yield self._scores(layer, weights, sequence, head, number, slot, projected)
                waiting.append(self._context(layer, sequence, head, number, slot, values))
                if len(waiting) == PROBABILITY_SLOTS:
                    yield waiting.pop(0)
                turn += 1
        yield from waiting

    def _scores(
        self, layer: int, weights: QuantisedLayer, sequence: int, head: int, number: int, slot: int, projected: Awaits
    ) -> Pass:
        """``number``: of the head among those kept, as its query, keys and values lie."""
        config, length = self._config, self._lengths[sequence]
        rows = self._head // config.in_lanes
        step = Pass(
            PassKind.SCORES,
            layer,
            outputs=_padded(length, config.out_lanes),
            head=head,
            sequence=sequence,
            tiles=rows,
            first_group=self._first_groups[sequence],
            group_count=config.groups(length),
            length=length,
            source=self._layout.wide_base + number * rows,
            weight_base=number * rows,
            destination=self._layout.probability_base + slot * self._layout.probability_rows,
            awaits=projected,
            scalars=(int(weights.scores.multiplier[head]), int(weights.scores.shift[head]), 0),
        )
        self._counts.softmax += _padded(length, config.in_lanes) * step.group_count
        return step

    def _context(self, layer: int, sequence: int, head: int, number: int, slot: int, values: int) -> Pass:
        config, length, width = self._config, self._lengths[sequence], self._head
        step = Pass(
            PassKind.CONTEXT,
            layer,
            outputs=width,
            head=head,
            sequence=sequence,
            unsigned_operands=True,
            tiles=-(-length // config.in_lanes),
            first_group=self._first_groups[sequence],
            group_count=config.groups(length),
            length=length,
            source=self._layout.probability_base + slot * self._layout.probability_rows,
            weight_base=number * width // config.out_lanes,
            destination=self._context_base + head * width // config.in_lanes,
            places=self._places_of(head),
            awaits=Awaits(softmax=self._counts.softmax, held=values),
        )
        self._counts.requantise += step.outputs * step.group_count
        return step

    def _places_of(self, head: int) -> tuple[int, ...] | None:
        """Of the channels of one head, among those that it takes."""
        if not self._padded:
            return None
        return tuple(head_places(self._shape, self._config.in_lanes, [head]).tolist())
