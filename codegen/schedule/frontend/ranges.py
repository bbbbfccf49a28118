"""Which values a register can hold, forward from constants, types and masks.

Synthesis makes an operator as wide as its values need; the type in the source is only an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from codegen.schedule.frontend.control_flow import postorder
from codegen.schedule.frontend.ir import Instruction, IrFunction, Operand

# A value that still grows after so many iterations of its loop may be anything of its type.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a register of ``bits`` bits, once read as unsigned and once as signed."""

    bits: int
    low: int
    high: int
    signed_low: int
    signed_high: int

    @property
    def unsigned_width(self) -> int:
        return max(1, self.high.bit_length())

    @property
    def signed_width(self) -> int:
        return 1 + max(self.signed_high.bit_length(), (-self.signed_low - 1).bit_length() if self.signed_low < 0 else 0)

    @property
    def width(self) -> int:
        """Bits that the register needs, signed or not."""
        return min(self.bits, self.unsigned_width, self.signed_width)

    @property
    def is_signed(self) -> bool:
        """Whether it holds negative values as far as is known."""
        return self.signed_low < 0


def full(bits: int) -> Range:
    """Nothing is known."""
    return Range(bits, 0, (1 << bits) - 1, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def unsigned(bits: int, low: int, high: int) -> Range:
    """From unsigned bounds. Bounds that do not fit the type say nothing."""
    top = 1 << bits
    if low < 0 or high >= top:
        return full(bits)
    if high < top // 2:
        return Range(bits, low, high, low, high)
    if low >= top // 2:
        return Range(bits, low, high, low - top, high - top)
    return Range(bits, low, high, -(top // 2), top // 2 - 1)


def signed(bits: int, low: int, high: int) -> Range:
    """From signed bounds. Bounds that do not fit the type say nothing."""
    half = 1 << (bits - 1)
    if low < -half or high >= half:
        return full(bits)
    if low >= 0:
        return Range(bits, low, high, low, high)
    if high < 0:
        return Range(bits, low + 2 * half, high + 2 * half, low, high)
    return Range(bits, 0, 2 * half - 1, low, high)


def exactly(bits: int, value: int) -> Range:
    return unsigned(bits, value % (1 << bits), value % (1 << bits))


def both(left: Range, right: Range) -> Range:
    """What is known from two sides."""
    return Range(
        left.bits,
        max(left.low, right.low),
        min(left.high, right.high),
        max(left.signed_low, right.signed_low),
        min(left.signed_high, right.signed_high),
    )


def either(left: Range, right: Range) -> Range:
    """One or the other."""
    return Range(
        left.bits,
        min(left.low, right.low),
        max(left.high, right.high),
        min(left.signed_low, right.signed_low),
        max(left.signed_high, right.signed_high),
    )


Ranges = Mapping[str, Range]


def operand_range(operand: Operand, bits: int, known: Ranges) -> Range:
    """Of ``operand`` read as ``bits`` bits."""
    if isinstance(operand, int):
        return exactly(bits, operand)
    if operand is None:
        return exactly(bits, 0)
    if isinstance(operand, str):
        return known.get(operand, full(bits))
    return full(bits)


def value_ranges(function: IrFunction, loaded: Mapping[str, tuple[int, int]]) -> Ranges:
    """Range of every integer register of ``function``. ``loaded``: bounds of what is loaded from constant tables."""
    known: dict[str, Range] = {name: full(bits) for name, bits in function.parameters}
    order = list(reversed(postorder(function.entry, lambda block: function.blocks[block].successors)))
    rank = {block: number for number, block in enumerate(order)}
    instructions = [
        (instruction, rank[block])
        for block in order
        for instruction in function.blocks[block].instructions
        if instruction.result and instruction.bits
    ]
    users = _users([instruction for instruction, _ in instructions])
    widened: set[str] = set()
    attempt = 0
    # Rounds through the function in order; in each, only what reads something that has changed since.
    waiting = list(range(len(instructions)))
    while waiting:
        following = {at for at in waiting if instructions[at][0].opcode == "phi"} if attempt == 0 else set[int]()
        queued = set(waiting)
        while waiting:
            position = heappop(waiting)
            queued.discard(position)
            instruction, at = instructions[position]
            name = instruction.result
            if name in widened:
                continue
            if instruction.opcode == "phi":
                found = _phi(instruction, at, known, rank, first=attempt == 0)
            elif name in loaded:
                found = _table(instruction.bits, *loaded[name])
            else:
                found = _transfer(instruction, known)
            if known.get(name) == found:
                continue
            if attempt >= _ROUNDS and instruction.opcode == "phi":
                widened.add(name)
                found = full(instruction.bits)
            known[name] = found
            for user in users.get(name, ()):
                if user <= position:
                    following.add(user)
                elif user not in queued:
                    queued.add(user)
                    heappush(waiting, user)
        waiting = sorted(following)
        attempt += 1
    return known


def _users(instructions: Sequence[Instruction]) -> Mapping[str, Sequence[int]]:
    """Positions of the instructions that read a register."""
    users: dict[str, list[int]] = {}
    for position, instruction in enumerate(instructions):
        for operand in dict.fromkeys(instruction.operands):
            if isinstance(operand, str):
                users.setdefault(operand, []).append(position)
    return users


def _table(bits: int, low: int, high: int) -> Range:
    return unsigned(bits, low, high) if low >= 0 else signed(bits, low, high)


def _phi(instruction: Instruction, at: int, known: Ranges, rank: Mapping[str, int], *, first: bool) -> Range:
    found: Range | None = None
    for operand, label in zip(instruction.operands, instruction.labels, strict=True):
        if operand is None or label not in rank or (first and rank[label] >= at):
            continue
        each = operand_range(operand, instruction.bits, known)
        found = each if found is None else either(found, each)
    return full(instruction.bits) if found is None else found


def _transfer(instruction: Instruction, known: Ranges) -> Range:
    bits = instruction.bits
    if instruction.opcode == "call":
        return _call(instruction, known)
    rule = _RULES.get(instruction.opcode)
    if rule is None or any(operand is None for operand in instruction.operands):
        return full(bits)
    width = bits if instruction.opcode == "select" else instruction.operand_bits
    operands = instruction.operands[1:] if instruction.opcode == "select" else instruction.operands
    return rule(bits, *(operand_range(operand, width, known) for operand in operands))


def _call(instruction: Instruction, known: Ranges) -> Range:
    bits = instruction.bits
    name = instruction.callee
    if name == "aebert_stream_valid":
        return unsigned(1, 0, 1)
    for kind, rule in _INTRINSICS.items():
        if name.startswith(f"llvm.{kind}."):
            left, right = (operand_range(operand, bits, known) for operand in instruction.operands[:2])
            return rule(bits, left, right)
    return full(bits)


def _zext(bits: int, value: Range) -> Range:
    return unsigned(bits, value.low, value.high)


def _sext(bits: int, value: Range) -> Range:
    return signed(bits, value.signed_low, value.signed_high)


def _trunc(bits: int, value: Range) -> Range:
    return both(unsigned(bits, value.low, value.high), signed(bits, value.signed_low, value.signed_high))


def _add(bits: int, left: Range, right: Range) -> Range:
    return both(
        unsigned(bits, left.low + right.low, left.high + right.high),
        signed(bits, left.signed_low + right.signed_low, left.signed_high + right.signed_high),
    )


def _sub(bits: int, left: Range, right: Range) -> Range:
    return both(
        unsigned(bits, left.low - right.high, left.high - right.low),
        signed(bits, left.signed_low - right.signed_high, left.signed_high - right.signed_low),
    )


def _mul(bits: int, left: Range, right: Range) -> Range:
    corners = [a * b for a in (left.signed_low, left.signed_high) for b in (right.signed_low, right.signed_high)]
    return both(unsigned(bits, left.low * right.low, left.high * right.high), signed(bits, min(corners), max(corners)))


def _and(bits: int, left: Range, right: Range) -> Range:
    width = max(left.signed_width, right.signed_width)
    as_signed = signed(bits, -(1 << (width - 1)), (1 << (width - 1)) - 1)
    return both(unsigned(bits, 0, min(left.high, right.high)), as_signed)


def _or(bits: int, left: Range, right: Range) -> Range:
    width = max(left.unsigned_width, right.unsigned_width)
    signed_width = max(left.signed_width, right.signed_width)
    as_signed = signed(bits, -(1 << (signed_width - 1)), (1 << (signed_width - 1)) - 1)
    return both(unsigned(bits, 0, (1 << width) - 1), as_signed)


def _shl(bits: int, value: Range, places: Range) -> Range:
    if places.low != places.high or places.high >= bits:
        # A power of two, or anything.
        return unsigned(bits, 0, value.high << places.high) if places.high < bits else full(bits)
    return _mul(bits, value, exactly(bits + 1, 1 << places.low)) if places.low < bits else full(bits)


def _lshr(bits: int, value: Range, places: Range) -> Range:
    return unsigned(bits, value.low >> min(places.high, bits), value.high >> places.low)


def _ashr(bits: int, value: Range, places: Range) -> Range:
    least, most = places.low, min(places.high, bits)
    low = value.signed_low >> (least if value.signed_low < 0 else most)
    high = value.signed_high >> (most if value.signed_high < 0 else least)
    return signed(bits, low, high)


def _udiv(bits: int, left: Range, right: Range) -> Range:
    return unsigned(bits, left.low // max(right.high, 1), left.high // max(right.low, 1))


def _sdiv(bits: int, left: Range, right: Range) -> Range:
    if right.signed_low != right.signed_high or right.signed_low <= 0:
        return full(bits)
    by = right.signed_low
    # Towards zero.
    return signed(bits, -(-left.signed_low // by) if left.signed_low < 0 else left.signed_low // by,
                  -(-left.signed_high // by) if left.signed_high < 0 else left.signed_high // by)  # fmt: skip


def _urem(bits: int, left: Range, right: Range) -> Range:
    return unsigned(bits, 0, min(left.high, max(right.high - 1, 0)))


def _smax(bits: int, left: Range, right: Range) -> Range:
    return signed(bits, max(left.signed_low, right.signed_low), max(left.signed_high, right.signed_high))


def _smin(bits: int, left: Range, right: Range) -> Range:
    return signed(bits, min(left.signed_low, right.signed_low), min(left.signed_high, right.signed_high))


def _umax(bits: int, left: Range, right: Range) -> Range:
    return unsigned(bits, max(left.low, right.low), max(left.high, right.high))


def _umin(bits: int, left: Range, right: Range) -> Range:
    return unsigned(bits, min(left.low, right.low), min(left.high, right.high))


def _abs(bits: int, value: Range, _poison: Range) -> Range:
    low = 0 if value.signed_low <= 0 <= value.signed_high else min(abs(value.signed_low), abs(value.signed_high))
    return unsigned(bits, low, max(abs(value.signed_low), abs(value.signed_high)))


def _compare(bits: int, _left: Range, _right: Range) -> Range:
    return unsigned(bits, 0, 1)


def _keep(_bits: int, value: Range) -> Range:
    return value


def _select(_bits: int, left: Range, right: Range) -> Range:
    return either(left, right)


Rule = Callable[..., Range]
_RULES: Mapping[str, Rule] = {
    "zext": _zext, "sext": _sext, "trunc": _trunc, "add": _add, "sub": _sub, "mul": _mul, "and": _and, "or": _or,
    "xor": _or, "shl": _shl, "lshr": _lshr, "ashr": _ashr, "udiv": _udiv, "sdiv": _sdiv, "urem": _urem,
    "icmp": _compare, "freeze": _keep, "select": _select,
}  # fmt: skip
_INTRINSICS: Mapping[str, Rule] = {"smax": _smax, "smin": _smin, "umax": _umax, "umin": _umin, "abs": _abs}
