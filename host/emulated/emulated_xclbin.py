"""The "bitstream" of an emulated board: an xclbin whose BITSTREAM section is the compiled emulator.

The container is AMD's (xclbin.h, as PYNQ ships it), so that PYNQ's own parser finds kernel, registers, memory banks and
clock in it as in one that v++ linked. USER_METADATA holds the project's manifest, here and in a real xclbin.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from pynq._3rdparty import xclbin

from aebert.support.atomic_files import write_bytes
from aebert.support.json_digest import bytes_digest
from aebert.support.native_build import user_cache
from codegen.manifest import TOP, Manifest
from codegen.project import Project
from codegen.toolchains.emulator import build_emulator
from host.emulated.board_process import MappedBank

FILE_SUFFIX = ".xclbin"
INSTANCE = "1"
KERNEL_ADDRESS = 0x1800000
KERNEL_RANGE = 0x1000
BANK_BYTES = 1 << 30
# Far apart and above 4 GiB, so that both halves of an address register matter.
BANK_STRIDE = 1 << 32
_POINTER_TYPE = "ap_uint<{bits}>*"
_SECTION_ALIGNMENT = 8
_KIND = xclbin.AXLF_SECTION_KIND


def emulated_banks(manifest: Manifest, bank_bytes: int = BANK_BYTES) -> tuple[MappedBank, ...]:
    """One bank of ``bank_bytes`` for every bank of the board that a port is connected to."""
    tags = sorted(set(manifest.banks.values()))
    return tuple(
        MappedBank(tag, base=(number + 1) * BANK_STRIDE, size=bank_bytes, offset=number * bank_bytes)
        for number, tag in enumerate(tags)
    )


def build_emulated_xclbin(project: Project, bank_bytes: int = BANK_BYTES, options: tuple[str, ...] = ()) -> Path:
    """Compiles the emulator of ``project`` if need be, with further compiler ``options``, and wraps it up.

    Both lie in the user's cache: what a project brings along is never loaded.

    Raises AebertError when it does not compile.
    """
    library = build_emulator(project.sources(), options)
    content = emulated_xclbin(project.manifest, library.read_bytes(), emulated_banks(project.manifest, bank_bytes))
    path = user_cache() / "emulators" / f"emulated-{bytes_digest(content)}{FILE_SUFFIX}"
    if not path.is_file():
        write_bytes(path, content)
    return path


def emulated_xclbin(manifest: Manifest, library: bytes, banks: tuple[MappedBank, ...]) -> bytes:
    """The whole file."""
    return _container(
        manifest,
        {
            _KIND.BITSTREAM: library,
            _KIND.EMBEDDED_METADATA: _kernel_xml(manifest),
            _KIND.IP_LAYOUT: _ip_layout(manifest),
            _KIND.CONNECTIVITY: _connectivity(manifest, banks),
            _KIND.MEM_TOPOLOGY: _mem_topology(banks),
            _KIND.CLOCK_FREQ_TOPOLOGY: _clocks(manifest),
            _KIND.USER_METADATA: manifest.to_json().encode(),
        },
    )


def _kernel_xml(manifest: Manifest) -> bytes:
    """Kernel, arguments and instances as v++ describes them (UG1393 and XRT's xclbin reader)."""
    root = ElementTree.Element("project", name="aebert")
    platform = ElementTree.SubElement(root, "platform", vendor="emulated", name=manifest.platform or manifest.board)
    device = ElementTree.SubElement(platform, "device", name="fpga0", fpgaDevice=manifest.part)
    core = ElementTree.SubElement(device, "core", name="OCL_REGION_0", type="clc_region", target="bitstream")
    kernel = ElementTree.SubElement(
        core,
        "kernel",
        name=TOP,
        language="c",
        vlnv=f"xilinx.com:hls:{TOP}:1.0",
        hwControlProtocol="ap_ctrl_chain" if manifest.flow == "vitis" else "ap_ctrl_hs",
    )
    pointers = [register for register in manifest.registers if register.bits == 64]
    for register in pointers:
        ElementTree.SubElement(
            kernel,
            "port",
            name=f"M_AXI_{register.name.upper()}",
            mode="master",
            range="0xFFFFFFFFFFFFFFFF",
            dataWidth=str(8 * manifest.config.word_bytes),
            portType="addressable",
            base="0x0",
        )
    ElementTree.SubElement(
        kernel, "port", name="S_AXI_CONTROL", mode="slave", range=hex(KERNEL_RANGE), dataWidth="32",
        portType="addressable", base="0x0",
    )  # fmt: skip
    for number, register in enumerate(manifest.registers):
        pointer = register.bits == 64
        size = hex(register.bits // 8)
        ElementTree.SubElement(
            kernel,
            "arg",
            name=register.name,
            addressQualifier="1" if pointer else "0",
            id=str(number),
            port=f"M_AXI_{register.name.upper()}" if pointer else "S_AXI_CONTROL",
            size=size,
            offset=hex(register.offset),
            hostOffset="0x0",
            hostSize=size,
            type=_POINTER_TYPE.format(bits=8 * manifest.config.word_bytes) if pointer else "int",
        )
    instance = ElementTree.SubElement(kernel, "instance", name=f"{TOP}_{INSTANCE}")
    ElementTree.SubElement(instance, "addrRemap", base=hex(KERNEL_ADDRESS), port="S_AXI_CONTROL")
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _ip_layout(manifest: Manifest) -> bytes:
    layout = xclbin.ip_layout(m_count=1)
    entry = layout.m_ip_data[0]
    entry.m_type = xclbin.IP_TYPE.IP_KERNEL
    entry.m_base_address = KERNEL_ADDRESS
    name = f"{TOP}:{TOP}_{INSTANCE}".encode()
    ctypes.memmove(entry.m_name, name, len(name))
    return bytes(layout)


def _connectivity(manifest: Manifest, banks: tuple[MappedBank, ...]) -> bytes:
    index = {bank.tag: number for number, bank in enumerate(banks)}
    pointers = [(number, register.name) for number, register in enumerate(manifest.registers) if register.bits == 64]
    entries = (xclbin.connection * len(pointers))()
    for entry, (number, name) in zip(entries, pointers, strict=True):
        entry.arg_index, entry.m_ip_layout_index, entry.mem_data_index = number, 0, index[manifest.banks[name]]
    return _counted(ctypes.c_int32(len(pointers)), xclbin.connectivity.m_connection.offset, bytes(entries))


def _mem_topology(banks: tuple[MappedBank, ...]) -> bytes:
    entries = (xclbin.mem_data * len(banks))()
    for entry, bank in zip(entries, banks, strict=True):
        entry.m_type = xclbin.MEM_TYPE.MEM_HBM if bank.tag.startswith("HBM") else xclbin.MEM_TYPE.MEM_DDR4
        entry.m_used, entry.m_tag = 1, bank.tag.encode()
        entry.mem_u1.m_size, entry.mem_u2.m_base_address = bank.size // 1024, bank.base
    return _counted(ctypes.c_int32(len(banks)), xclbin.mem_topology.m_mem_data.offset, bytes(entries))


def _clocks(manifest: Manifest) -> bytes:
    entry = xclbin.clock_freq(
        m_freq_Mhz=round(manifest.clock_mhz), m_type=xclbin.CLOCK_TYPE.CT_DATA, m_name=b"DATA_CLK"
    )
    return _counted(ctypes.c_uint16(1), xclbin.clock_freq_topology.m_clock_freq.offset, bytes(entry))


def _counted(count: ctypes.c_int32 | ctypes.c_uint16, first: int, entries: bytes) -> bytes:
    """A section of ``count`` entries, the first at byte ``first``."""
    return bytes(count).ljust(first, b"\0") + entries


def _container(manifest: Manifest, sections: Mapping[int, bytes]) -> bytes:
    """Header, section headers, sections. The file's UUID is made from its content."""
    headers = (xclbin.axlf_section_header * len(sections))()
    first = xclbin.axlf.m_sections.offset
    position = first + ctypes.sizeof(headers)
    body = b""
    for header, (kind, content) in zip(headers, sections.items(), strict=True):
        body += b"\0" * (-(position + len(body)) % _SECTION_ALIGNMENT)
        header.m_sectionKind = kind
        header.m_sectionOffset, header.m_sectionSize = position + len(body), len(content)
        body += content
    file = xclbin.axlf(m_magic=b"xclbin2")
    ctypes.memset(file.m_cipher, 0xFF, ctypes.sizeof(file.m_cipher))
    ctypes.memset(file.m_keyBlock, 0xFF, ctypes.sizeof(file.m_keyBlock))
    file.m_header.m_length = position + len(body)
    file.m_header.m_versionMajor, file.m_header.m_versionMinor = 2, 13
    file.m_header.m_mode = xclbin.XCLBIN_MODE.XCLBIN_FLAT
    file.m_header.m_numSections = len(sections)
    platform = (manifest.platform or manifest.board).encode()[:63]
    ctypes.memmove(file.m_header.m_platformVBNV, platform, len(platform))
    ctypes.memmove(file.m_header.u2.uuid, hashlib.sha256(body).digest(), 16)
    return bytes(file)[:first] + bytes(headers) + body
