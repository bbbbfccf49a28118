"""From a project and a device's name to an accelerator that is ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.support.whole_number import whole_number
from aebert.timing.loop_schedules import LoopFigures
from codegen.project import Project
from host.boards.bitstream import find_bitstream
from host.devices.accelerator import DEADLINE_S, Accelerator
from host.devices.faults import DeviceFault
from host.devices.known_answer import check_known_answer, read_known_answer
from host.devices.lock import DeviceLock
from host.devices.protocol import Device
from host.emulated.emulator import EmulatorDevice

if TYPE_CHECKING:
    from host.emulated.pynq_emulator import EmulatedPynqDevice

BOARD_DEADLINE_S = 10.0
# A simulated cycle takes from microseconds to milliseconds.
SIMULATION_DEADLINE_S = 24 * 3600.0
_DEADLINES_S: Mapping[SourceKind, float] = {"hw": BOARD_DEADLINE_S, "rtl_sim": SIMULATION_DEADLINE_S}


def device_kinds() -> tuple[str, ...]:
    """What a device's name may begin with."""
    return tuple(_OPENERS)


def open_device(
    project: Project, name: str, *, clocked: bool = False, recorded: Mapping[str, LoopFigures] | None = None
) -> Device:
    """Loads the project's design on a device and takes the device's lock.

    ``name``: ``emulator`` (a process of its own), ``rtl`` (its C++ as RTL of our own scheduler, simulated cycle by
    cycle), ``pynq-emulator[:N]`` (the emulator behind the PYNQ library),
    ``pynq[:N]`` (a Zynq or Kria board that this runs on), ``xrt[:N]`` (a PCIe card), ``remote:HOST`` (PYNQ.remote).
    ``clocked``: emulators run in timed emulation (`ClockedDevice`), with II and depth as ``recorded`` of a synthesis
    of the design where there are some; boards have the clock on the wall.
    Raises AebertError for any other name, for a bitstream that is missing or of another design, and for a device that
    somebody else has.
    """
    kind, _, which = name.partition(":")
    if kind not in _OPENERS:
        raise AebertError(f"device {name!r}: not known; there are {', '.join(_OPENERS)}")
    if clocked and kind in _CLOCKED_OPENERS:
        return _CLOCKED_OPENERS[kind](project, which, recorded)
    return _OPENERS[kind](project, which)


def open_accelerator(
    project: Project,
    name: str,
    *,
    known_answer: bool = False,
    guarded: bool = False,
    clocked: bool = False,
    deadline_s: float | None = None,
    recorded: Mapping[str, LoopFigures] | None = None,
) -> Accelerator:
    """The project's subnet resident on the device; see `Accelerator` for ``guarded``, `open_device` for ``clocked`` and
    ``recorded``.

    With ``known_answer`` a golden vector is compared first; raises DeviceFault when it comes out wrong.
    """
    known = read_known_answer(project) if known_answer else None
    device = open_device(project, name, clocked=clocked, recorded=recorded)
    limit = deadline_s or _DEADLINES_S.get(device.source, DEADLINE_S)
    try:
        accelerator = Accelerator(
            device, project.manifest.config, project.quantised, project.image, deadline_s=limit, guarded=guarded
        )
        if known is not None:
            check_known_answer(accelerator, project, known)
    except BaseException:
        device.close()
        raise
    return accelerator


def _number(kind: str, which: str) -> int:
    number = whole_number(which or "0")
    if number is None or number < 0:
        raise AebertError(f"device {quoted(f'{kind}:{which}')}: {quoted(which)} must be a number")
    return number


def _open_emulator(project: Project, which: str) -> Device:
    _check_unnumbered(which)
    return EmulatorDevice(project.sources())


def _open_rtl(project: Project, which: str) -> Device:
    from codegen.rtl.kernel import kernel_rtl
    from codegen.toolchains.rtl import build_simulation
    from host.emulated.clocks import project_ports
    from host.emulated.rtl_device import RtlDevice

    if which:
        raise AebertError(f"device 'rtl:{which}': takes no number; use rtl")
    rtl = kernel_rtl(project.sources(), project.manifest)
    return RtlDevice(build_simulation(rtl), project_ports(project), rtl.schedules)


def _open_clocked_emulator(project: Project, which: str, recorded: Mapping[str, LoopFigures] | None) -> Device:
    from host.emulated.clocks import project_clocks
    from host.emulated.timed_emulator import TimedEmulatorDevice

    _check_unnumbered(which)
    clocks = project_clocks(project, recorded=recorded)
    return TimedEmulatorDevice(project.sources(), clocks.schedules, clocks.ports)


def _check_unnumbered(which: str) -> None:
    if which:
        raise AebertError(f"device 'emulator:{which}': takes no number; use pynq-emulator:{which} for several")


def _open_pynq_emulator(project: Project, which: str) -> Device:
    # PYNQ takes a second to import, and is an extra.
    from host.boards.pynq_board import PynqBoard
    from host.emulated.emulated_xclbin import build_emulated_xclbin

    bitstream = build_emulated_xclbin(project)
    return _locked_emulated_board(
        which,
        lambda board, name, release: PynqBoard(
            board, bitstream, project.manifest, name=name, source="emulated", released=release
        ),
    )


def _open_clocked_pynq_emulator(project: Project, which: str, recorded: Mapping[str, LoopFigures] | None) -> Device:
    from codegen.toolchains.timed import TIMED_OPTIONS
    from host.emulated.clocked_pynq_board import ClockedPynqBoard
    from host.emulated.clocks import project_clocks
    from host.emulated.emulated_xclbin import build_emulated_xclbin

    bitstream = build_emulated_xclbin(project, options=TIMED_OPTIONS)
    clocks = project_clocks(project, recorded=recorded)
    return _locked_emulated_board(
        which,
        lambda board, name, release: ClockedPynqBoard(board, bitstream, project, clocks, name=name, released=release),
    )


def _locked_emulated_board(
    which: str, connect: Callable[[EmulatedPynqDevice, str, Callable[[], None]], Device]
) -> Device:
    from host.emulated.pynq_emulator import find_emulated_board

    board = find_emulated_board(_number("pynq-emulator", which))
    # Emulated boards are this process's own, so the lock is too.
    return _locked(
        f"pynq-emulator-{os.getpid()}-{board.number}",
        lambda release: connect(board, f"pynq-emulator:{board.number}", release),
        reset=board.unload,
    )


def _open_pynq(project: Project, which: str) -> Device:
    import pynq

    from host.boards.local_pynq_board import LocalPynqBoard

    number = _number("pynq", which)
    if number >= len(pynq.Device.devices):
        raise DeviceFault(f"pynq:{number}: PYNQ finds {len(pynq.Device.devices)} boards here; source XRT's setup.sh")
    board = pynq.Device.devices[number]
    bitstream = find_bitstream(project.directory)
    return _locked(
        f"pynq-{number}",
        lambda release: LocalPynqBoard(
            board, bitstream, project.manifest, name=f"pynq:{number}", source="hw", released=release
        ),
    )


def _open_remote(project: Project, which: str) -> Device:
    from pynq.pl_server.remote_device import RemoteDevice

    from host.boards.pynq_board import PynqBoard

    if not which:
        raise AebertError("device 'remote': name the host, as in remote:192.168.2.99")
    bitstream = find_bitstream(project.directory)

    def connect(release: Callable[[], None]) -> Device:
        try:
            board = RemoteDevice(ip_addr=which)
        except (OSError, RuntimeError) as error:
            raise DeviceFault(f"remote:{which}: {error}; check that the PYNQ.remote server runs there") from None
        return PynqBoard(board, bitstream, project.manifest, name=f"remote:{which}", source="hw", released=release)

    return _locked(f"remote-{which}", connect)


def _open_xrt(project: Project, which: str) -> Device:
    from host.boards.xrt_board import XrtBoard

    number = _number("xrt", which)
    # XRT's own switch between a card and the simulation of the RTL that v++ built (UG1393).
    mode = os.environ.get("XCL_EMULATION_MODE", "hw")
    if mode not in ("hw", "hw_emu"):
        raise AebertError(f"XCL_EMULATION_MODE={mode}: cannot run this kernel; use hw_emu, or unset it for a card")
    source: SourceKind = "hw_emu" if mode == "hw_emu" else "hw"
    bitstream = find_bitstream(project.directory, source)
    return _locked(
        f"xrt-{number}",
        lambda release: XrtBoard(number, bitstream, project.manifest, source=source, released=release),
    )


def _locked(
    name: str, connect: Callable[[Callable[[], None]], Device], reset: Callable[[], None] | None = None
) -> Device:
    """The device that ``connect`` makes. Closing it, or failing to make it, calls ``reset`` and frees the lock."""
    lock = DeviceLock(name)

    def release() -> None:
        if reset is not None:
            reset()
        lock.release()

    try:
        return connect(release)
    except BaseException:
        release()
        raise


_OPENERS: Mapping[str, Callable[[Project, str], Device]] = {
    "emulator": _open_emulator,
    "rtl": _open_rtl,
    "pynq-emulator": _open_pynq_emulator,
    "pynq": _open_pynq,
    "xrt": _open_xrt,
    "remote": _open_remote,
}
_CLOCKED_OPENERS: Mapping[str, Callable[[Project, str, Mapping[str, LoopFigures] | None], Device]] = {
    "emulator": _open_clocked_emulator,
    "pynq-emulator": _open_clocked_pynq_emulator,
}
