"""What cocotb runs inside the simulation of axi_copier.sv: cocotbext-axi's models at the other end of every channel.

Its memory refuses a burst across 4 KiB and a last word that is not marked, and every channel waits at random.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from codegen.manifest import register_map

WORD = 16
# Lengths around a burst of 4 KiB, at addresses anywhere: several bursts, short ones at either end.
WORDS = (1, 2, 255, 256, 257, 600)
MEMORY = 2**16


def _paused(seed: int, percent: int = 40) -> Iterator[bool]:
    draw = random.Random(seed)
    while True:
        yield draw.randrange(100) < percent


def _pause(model: AxiRam | AxiLiteMaster) -> None:
    write, read = model.write_if, model.read_if
    channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
    for seed, channel in enumerate(channels):
        channel.set_pause_generator(_paused(seed))


async def _begin(dut: HierarchyObject) -> None:
    cocotb.start_soon(Clock(dut.clk, 4, "ns").start())
    for signal in (dut.begins, dut.waits, dut.finished):
        signal.value = 0
    dut.reset.value = 1
    await ClockCycles(dut.clk, 4)
    dut.reset.value = 0
    await RisingEdge(dut.clk)


@cocotb.test()
async def words_arrive_where_they_should_whatever_waits(dut: HierarchyObject) -> None:
    memory = AxiRam(AxiBus.from_prefix(dut, "m"), dut.clk, dut.reset, size=MEMORY)
    _pause(memory)
    await _begin(dut)
    draw = random.Random(1)
    for words in WORDS:
        source, target = WORD * draw.randrange(1024), MEMORY // 2 + WORD * draw.randrange(1024)
        content = draw.randbytes(WORD * words)
        memory.write(source, content)
        memory.write(target - WORD, bytes(WORD * (words + 2)))
        dut.source.value, dut.target.value, dut.words.value, dut.begins.value = source, target, words, 1
        await RisingEdge(dut.clk)
        dut.begins.value = 0
        await ClockCycles(dut.clk, 2)
        for _ in range(20 * words + 1000):
            if dut.idle.value:
                break
            dut.waits.value = int(draw.randrange(4) == 0)
            await RisingEdge(dut.clk)
        assert memory.read(target - WORD, WORD * (words + 2)) == bytes(WORD) + content + bytes(WORD), words


@cocotb.test()
async def registers_keep_what_the_host_writes(dut: HierarchyObject) -> None:
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s"), dut.clk, dut.reset)
    _pause(host)
    await _begin(dut)
    draw = random.Random(2)
    written = {register.offset: draw.randbytes(register.bits // 8) for register in register_map()}
    for offset, content in written.items():
        await host.write(offset, content)
    # A byte of a word leaves the others as they are.
    first = register_map()[0].offset
    await host.write(first + 1, b"\x5a")
    written[first] = written[first][:1] + b"\x5a" + written[first][2:]
    for offset, content in written.items():
        assert (await host.read(offset, len(content))).data == content, hex(offset)


@cocotb.test()
async def a_launch_is_started_ends_and_interrupts(dut: HierarchyObject) -> None:
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s"), dut.clk, dut.reset)
    _pause(host)
    await _begin(dut)
    await host.write_dword(0x04, 1)
    await host.write_dword(0x08, 1)
    await host.write_dword(0x00, 1)
    assert await host.read_dword(0x00) & 0b111 == 0b001
    dut.finished.value = 1
    await ClockCycles(dut.clk, 3)
    assert dut.interrupt_request.value
    assert await host.read_dword(0x00) & 0b1111 == 0b1110
    assert await host.read_dword(0x00) & 0b1111 == 0b0100
    await host.write_dword(0x0C, 1)
    assert not dut.interrupt_request.value
