"""Bitstream files: where a project's is, what design it says it is, and whether that is the project's."""

from __future__ import annotations

import ctypes
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import read_input, reason
from codegen.manifest import Manifest
from codegen.toolchains.vitis import BUILD

# For bitstreams that were built elsewhere.
FOLDER = "bitstream"
SUFFIXES = (".xclbin", ".bit")
CLOCK_TOLERANCE_MHZ = 1.0


@dataclass(frozen=True)
class BitstreamFacts:
    """What a bitstream says about itself; None where its format or its build does not say.

    ``design`` is the design's digest, or its first digits.
    """

    design: str | None
    platform: str | None
    clock_mhz: float | None


def find_bitstream(project: Path, target: str = "hw") -> Path:
    """The one bitstream in ``project/bitstream``, else what v++ linked for ``target`` in ``project/build``.

    Raises AebertError when there is none, or several in ``project/bitstream``.
    """
    found = sorted(path for suffix in SUFFIXES for path in (project / FOLDER).glob(f"*{suffix}"))
    if len({path.stem for path in found}) > 1:
        raise AebertError(f"{project / FOLDER}: {len(found)} bitstreams; keep one")
    if not found:
        found = sorted((project / BUILD).glob(f"*.{target}.xclbin"))
    if not found:
        raise AebertError(
            f"{project}: no bitstream; run 'aebert build' where Vitis is, or put an .xclbin or .bit into {FOLDER}/"
        )
    return found[0]  # of a .bit and an .xclbin of the same name, PYNQ wants the .bit and finds the other


def read_bitstream_facts(path: Path) -> BitstreamFacts:
    """Reads an .xclbin or .bit file. Raises AebertError when it is not one."""
    content = read_input(path)
    if path.suffix == ".xclbin":
        return _xclbin_facts(path, content)
    return _bit_facts(path, content)


def check_bitstream(path: Path, manifest: Manifest, facts: BitstreamFacts) -> None:
    """Raises AebertError when the bitstream is not known to be one of the project's design."""
    if not facts.design:
        raise AebertError(
            f"{path}: does not say which design it is (USER_METADATA, or USERID of a .bit); "
            "build it with the project's own scripts"
        )
    if not manifest.design_digest.startswith(facts.design.lower()):
        raise AebertError(
            f"{path}: is of design {facts.design[:8]}, the project of {manifest.design_digest[:8]}; build it again"
        )
    if facts.platform and manifest.platform and facts.platform != manifest.platform:
        raise AebertError(f"{path}: is for platform {facts.platform}, the project for {manifest.platform}")
    if facts.clock_mhz is not None and abs(facts.clock_mhz - manifest.clock_mhz) > CLOCK_TOLERANCE_MHZ:
        raise AebertError(
            f"{path}: runs at {facts.clock_mhz:g} MHz, the project says {manifest.clock_mhz:g}; "
            f"generate it with --clock-mhz {facts.clock_mhz:g}"
        )


def _xclbin_facts(path: Path, content: bytes) -> BitstreamFacts:
    from pynq._3rdparty.xclbin import AXLF_SECTION_KIND, axlf
    from pynq.pl_server.xclbin_parser import XclBin, parse_xclbin_header

    if not content.startswith(b"xclbin2\0") or len(content) < axlf.m_sections.offset:
        raise AebertError(f"{path}: not an xclbin; build it again")
    try:
        header = axlf.from_buffer_copy(content.ljust(ctypes.sizeof(axlf), b"\0"))
        if header.m_header.m_length != len(content):
            raise AebertError(f"{path}: {len(content)} bytes of {header.m_header.m_length}; copy it again")
        sections, _ = parse_xclbin_header(content)
        clocks = XclBin(xclbin_data=bytearray(content)).clock_dict
    except AebertError:
        raise
    except Exception as error:  # noqa: BLE001 - PYNQ's parser throws what its assumptions bring
        raise AebertError(f"{path}: damaged xclbin ({reason(error)}); build it again") from None
    platform = bytes(header.m_header.m_platformVBNV).split(b"\0")[0].decode(errors="replace")
    # ap_clk of a kernel is the platform's data clock; the "kernel" clock is a second, faster one for ap_clk_2 (UG1393).
    frequencies = [float(clock["frequency"]) for clock in clocks.values() if clock["type"] == "DATA"]
    design = _design_digest(bytes(sections.get(AXLF_SECTION_KIND.USER_METADATA, b"")))
    return BitstreamFacts(design, platform or None, frequencies[0] if frequencies else None)


def _design_digest(metadata: bytes) -> str | None:
    try:
        fields = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    digest = fields.get("design_digest") if isinstance(fields, dict) else None
    return digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None


def _bit_facts(path: Path, content: bytes) -> BitstreamFacts:
    """The header of a .bit file: a preamble, then fields of a letter, a 16-bit length and text; 'a' is the design.

    Format as in PYNQ's ``parse_bit_header``, which drops the part that is needed here.
    """
    try:
        (skip,) = struct.unpack_from(">H", content, 0)
        position = 2 + skip + 2
        if content[position : position + 1] != b"a":
            raise AebertError(f"{path}: not a .bit file; build it again")
        (length,) = struct.unpack_from(">H", content, position + 1)
        text = content[position + 3 :][:length].rstrip(b"\0").decode("ascii")
    except (struct.error, UnicodeDecodeError):
        raise AebertError(f"{path}: not a .bit file; build it again") from None
    found = re.search(r"UserID=0[xX]([0-9a-fA-F]{8})(;|$)", text)
    user_id = found.group(1).lower() if found else None
    # Vivado's value for "not set".
    return BitstreamFacts(None if user_id == "ffffffff" else user_id, None, None)
