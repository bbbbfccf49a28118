"""The kernel's control registers as a table for people: what XRT and PYNQ write where, in README and docs."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.manifest import Register, register_map


@dataclass(frozen=True)
class ControlBit:
    """One bit of the register at ``offset``. ``access`` in the words of UG1399: COR is cleared by reading."""

    offset: int
    bit: int
    name: str
    access: str
    meaning: str


# UG1399, "S_AXILITE Control Register Map".
CONTROL_BITS = (
    ControlBit(0x00, 0, "ap_start", "read, write", "starts a launch; falls when the kernel has taken its arguments"),
    ControlBit(
        0x00, 1, "ap_done", "read", "the launch has ended; cleared by reading, with ap_ctrl_chain by ap_continue"
    ),
    ControlBit(0x00, 2, "ap_idle", "read", "no launch runs"),
    ControlBit(0x00, 3, "ap_ready", "read (COR)", "the next launch's arguments may be written"),
    ControlBit(0x00, 4, "ap_continue", "read, write", "only with ap_ctrl_chain (flow vitis): clears ap_done"),
    ControlBit(0x00, 7, "auto_restart", "read, write", "starts again by itself; never set here"),
    ControlBit(0x04, 0, "gie", "read, write", "interrupts on"),
    ControlBit(0x08, 0, "ier done", "read, write", "interrupt when a launch has ended"),
    ControlBit(0x0C, 0, "isr done", "read, write 1", "that interrupt; writing 1 toggles it"),
)


def register_table() -> str:
    """The register map in Markdown: control bits, then the kernel's arguments in the order of its signature."""
    control = [f"| {bit.offset:#04x} | {bit.bit} | {bit.name} | {bit.access} | {bit.meaning} |" for bit in CONTROL_BITS]
    arguments = [
        f"| {number} | {register.name} | {_offsets(register)} | {register.bits} | {_meaning(register)} |"
        for number, register in enumerate(register_map())
    ]
    return "\n".join(
        [
            "| offset | bit | control | access | meaning |",
            "|---|---|---|---|---|",
            *control,
            "",
            "| argument | name | offset | bits | meaning |",
            "|---|---|---|---|---|",
            *arguments,
        ]
    )


def _offsets(register: Register) -> str:
    low = f"{register.offset:#04x}"
    return f"{low} low, {register.offset + 4:#04x} high" if register.bits == 64 else low


def _meaning(register: Register) -> str:
    return "address of a buffer in device memory" if register.bits == 64 else "a count that goes with the launch"
