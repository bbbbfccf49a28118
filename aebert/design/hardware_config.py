"""The hardware config: the numbers that fix a design."""

from __future__ import annotations

from dataclasses import dataclass

from aebert.design.data_widths import WIDTH_OF
from aebert.design.head_places import attention_width
from aebert.design.kernel_records import HEADER_COUNT_BYTES
from aebert.models.encoder import EncoderShape
from aebert.numerics.activation import FFN_ACTIVATIONS, FfnActivation
from aebert.numerics.integers import MAX_HIDDEN, MAX_TOKENS
from aebert.support.errors import AebertError

# Every AXI port: bursts of AXI's 4 KiB page, and how many of them are requested ahead. Four cover 128 cycles of latency
# at 64 bytes per cycle twice over; each costs block RAM in the port's adapter.
BURST_BYTES = 4096
OUTSTANDING_BURSTS = 4
# Assumption: cycles from a request to its first word, 213 ns at 300 MHz. Paid once per sequence of bursts.
PORT_LATENCY_CYCLES = 64
# Assumption: what a memory bank loses between two bursts to turn-around and row activation, in kernel cycles: 6 % of a
# 4 KiB burst on a 64-byte port. XRT's own bandwidth test reports 85 to 95 % of the peak on Alveo cards.
BURST_GAP_CYCLES = 4
# Ports of a bank take turns (AXI interconnects arbitrate round robin): one that asks for little gets it, one that asks
# for much at least what falls to each of the four ports that are active between loading and storing.
SMALLEST_SHARE = 1 / 4
MAX_LAYERS = 24  # of the encoder that trip counts and the traffic of ports are counted for
MAX_OPERAND_ROWS = 1 << WIDTH_OF["address"]


@dataclass(frozen=True)
class DspPacking:
    """How two int8 products share one DSP multiplication.

    ``port_bits`` is the width of the wider multiplier port, ``shift`` the distance of the two operands in it, and
    ``chain`` how many packed products are added before they are taken apart (``chain * 127 * 255 < 2^(shift - 1)``).
    """

    port_bits: int
    shift: int
    chain: int


# 27 x 18 (UG579) and 25 x 18 (UG479) multipliers. DSP58's 27 x 24 (AM004) holds the same packing as DSP48E2.
DSP_PACKING = {
    "DSP48E1": DspPacking(port_bits=25, shift=16, chain=1),
    "DSP48E2": DspPacking(port_bits=27, shift=18, chain=4),
    "DSP58": DspPacking(port_bits=27, shift=18, chain=4),
}


class IllegalSizes(AebertError):
    """Numbers that do not go together; ``held`` rules do hold, in the order in which they are looked at."""

    def __init__(self, message: str, held: int) -> None:
        super().__init__(message)
        self.held = held


@dataclass(frozen=True)
class HardwareConfig:
    """Parallelism and capacities of one design; any subnet within the capacities runs on it.

    ``tokens`` x ``out_lanes`` x ``in_lanes`` multiply-accumulates per cycle. ``max_length`` bounds one sequence,
    ``max_groups`` the token groups of one launch. ``word_bytes`` is the width of the AXI ports. FIFO depths are in
    elements of their stream. ``activation`` is the FFN's function, whose table the kernel holds. ``row_slices``: the
    units behind an engine take so many cycles for a row of its tokens. ``engines`` share the tokens of a group, each
    with units of its own: what is to lie on several dies. ``lut_lanes`` of the input lanes multiply in LUTs instead of
    DSP slices. Raises IllegalSizes when the numbers do not go together.
    """

    tokens: int
    out_lanes: int
    in_lanes: int
    max_hidden: int
    max_ffn: int
    max_length: int
    max_groups: int
    dsp: str = "DSP48E2"
    word_bytes: int = 64
    tile_fifo: int = 512
    parameter_fifo: int = 64
    sums_fifo: int = 16
    activation: FfnActivation = "gelu"
    row_slices: int = 1
    engines: int = 1
    lut_lanes: int = 0

    def __post_init__(self) -> None:
        for held, (rule, message) in enumerate(self._rules()):
            if not rule:
                raise IllegalSizes(f"hardware config: {message}", held)

    def _rules(self) -> list[tuple[bool, str]]:
        powers = {
            "tokens": self.tokens,
            "out_lanes": self.out_lanes,
            "in_lanes": self.in_lanes,
            "row_slices": self.row_slices,
            "engines": self.engines,
        }
        rules = [
            (value >= 1 and value & (value - 1) == 0, f"{name} = {value} must be a power of two")
            for name, value in powers.items()
        ]
        rules.append((self.dsp in DSP_PACKING, f"dsp = {self.dsp!r} must be one of {', '.join(DSP_PACKING)}"))
        known = ", ".join(FFN_ACTIVATIONS)
        rules.append((self.activation in FFN_ACTIVATIONS, f"activation = {self.activation!r} must be one of {known}"))
        rules.append((self.word_bytes in (16, 32, 64), f"word_bytes = {self.word_bytes} must be 16, 32 or 64"))
        if not all(rule for rule, _ in rules):
            return rules  # the others divide by these
        tile_bytes = self.out_lanes * self.in_lanes
        chain = self.packing.chain
        return [
            *rules,
            (self.tokens <= 128, f"tokens = {self.tokens} must be at most 128 (a stream carries 32 bits of each)"),
            (
                self.tokens >= max(self.in_lanes, self.out_lanes, 2),
                f"tokens = {self.tokens} must be at least in_lanes = {self.in_lanes} and out_lanes = {self.out_lanes}",
            ),
            (
                self.tokens // self.engines >= max(self.in_lanes, self.out_lanes, 2),
                f"engines = {self.engines} leave {self.tokens // self.engines} of tokens = {self.tokens} to each, "
                f"which must be at least in_lanes = {self.in_lanes} and out_lanes = {self.out_lanes}",
            ),
            (
                self.row_slices <= min(self.tokens // self.engines, NEAR_GROUPS),
                f"row_slices = {self.row_slices} must be at most the tokens of an engine = "
                f"{self.tokens // self.engines} and {NEAR_GROUPS}",
            ),
            (
                tile_bytes <= self.word_bytes,
                f"out_lanes x in_lanes = {tile_bytes} must be at most word_bytes = {self.word_bytes}",
            ),
            (
                self.in_lanes * self.index_bytes <= self.word_bytes,
                f"in_lanes = {self.in_lanes} indices of {self.index_bytes} bytes must fit word_bytes",
            ),
            (
                self.in_lanes % chain == 0,
                f"in_lanes = {self.in_lanes} must be a multiple of {chain} ({self.dsp} adds that many in its cascade)",
            ),
            (
                0 <= self.lut_lanes < self.in_lanes,
                f"lut_lanes = {self.lut_lanes} must be at least 0 and less than in_lanes = {self.in_lanes}",
            ),
            (
                self.out_lanes <= self.in_lanes,
                f"out_lanes = {self.out_lanes} must be at most in_lanes = {self.in_lanes}: results fill rows of banks",
            ),
            (
                0 < self.max_hidden <= MAX_HIDDEN,
                f"max_hidden = {self.max_hidden} must be between 1 and {MAX_HIDDEN} (docs/numerics.md)",
            ),
            (
                self.max_hidden % self.in_lanes == 0 and self.max_ffn % self.in_lanes == 0,
                f"max_hidden = {self.max_hidden} and max_ffn = {self.max_ffn} must be multiples of in_lanes = "
                f"{self.in_lanes}",
            ),
            (
                0 < self.max_length <= MAX_TOKENS and self.max_length % self.tokens == 0,
                f"max_length = {self.max_length} must be a multiple of tokens = {self.tokens}, at most {MAX_TOKENS}",
            ),
            (
                self.max_groups >= self.length_groups,
                f"max_groups = {self.max_groups} must hold one sequence ({self.length_groups})",
            ),
            (
                operand_layout(self).group_depth * self.max_groups <= MAX_OPERAND_ROWS,
                f"more than {MAX_OPERAND_ROWS} operand rows; use more tokens, more in_lanes or a shorter length",
            ),
            (min(self.tile_fifo, self.parameter_fifo, self.sums_fifo) >= 2, "FIFO depths must be at least 2"),
        ]

    @property
    def packing(self) -> DspPacking:
        return DSP_PACKING[self.dsp]

    @property
    def engine_tokens(self) -> int:
        """Tokens of a group that each engine owns."""
        return self.tokens // self.engines

    @property
    def macs_per_cycle(self) -> int:
        return self.tokens * self.out_lanes * self.in_lanes

    @property
    def length_groups(self) -> int:
        """Token groups of the longest sequence."""
        return -(-self.max_length // self.tokens)

    @property
    def index_bytes(self) -> int:
        """Bytes of one lane's row index."""
        return 1 if max(self.max_hidden, self.max_ffn) // self.in_lanes <= 256 else 2

    @property
    def header_counts(self) -> int:
        """Row groups whose tile counts share one memory word."""
        return self.word_bytes // HEADER_COUNT_BYTES - 1

    @property
    def words_per_vector(self) -> int:
        """Memory words of one channel of int16 tokens."""
        return -(-2 * self.tokens // self.word_bytes)

    def groups(self, length: int) -> int:
        """Token groups of a sequence of ``length`` tokens."""
        return -(-length // self.tokens)

    def check_fits(self, shape: EncoderShape) -> None:
        """Raises AebertError when an encoder of this shape cannot run on the design."""
        if shape.activation != self.activation:
            raise AebertError(
                f"encoder: its activation is {shape.activation}, the design's kernel holds the table of "
                f"{self.activation}; generate a design for it"
            )
        lanes = self.in_lanes  # >= out_lanes, both powers of two
        for field, value, limit in (("hidden", shape.hidden, self.max_hidden), ("ffn", shape.ffn, self.max_ffn)):
            if value > limit:
                raise AebertError(f"encoder: {field} = {value} exceeds the design's {limit}; generate a larger design")
            if value % lanes:
                raise AebertError(f"encoder: {field} = {value} must be a multiple of in_lanes = {lanes}")
        if (width := attention_width(shape, lanes)) > self.max_hidden:
            raise AebertError(
                f"encoder: {shape.heads} heads of {shape.head_size} take {width} channels on in_lanes = {lanes}, which "
                f"exceeds the design's max_hidden = {self.max_hidden}; generate a larger design"
            )


# Heads whose probabilities the operand buffer holds: one being read, two being written behind it.
PROBABILITY_SLOTS = 3
# Token groups whose sums are kept in registers; those of more lie in memory. A multiplexer of four is one LUT per bit.
NEAR_GROUPS = 4
# Iterations of the engine between taking in a write-back and the first read of that row. In the last ones the count is
# compared with what the pass awaits, and the answer used.
SETTLE_ITERATIONS = 8
ANSWER_ITERATIONS = 2


@dataclass(frozen=True)
class OperandLayout:
    """Rows of the operand buffer within one token group (one row = one channel in each input bank)."""

    hidden_base: int
    wide_base: int
    probability_base: int
    probability_rows: int
    group_depth: int


def operand_layout(config: HardwareConfig) -> OperandLayout:
    """Hidden states; then query + context, later overwritten by the GELU outputs; then the probabilities of
    `PROBABILITY_SLOTS` heads in turn."""
    hidden_rows = config.max_hidden // config.in_lanes
    wide_rows = max(config.max_ffn // config.in_lanes, 2 * hidden_rows)
    probability_rows = config.max_length // config.in_lanes
    probability_base = hidden_rows + wide_rows
    return OperandLayout(
        hidden_base=0,
        wide_base=hidden_rows,
        probability_base=probability_base,
        probability_rows=probability_rows,
        group_depth=probability_base + PROBABILITY_SLOTS * probability_rows,
    )
