"""The optimisations that synthesis does too: inlining, unrolling, scalars for small arrays, constants, dead code.

None that moves work across a loop's exit test (rotation, hoisting, partial redundancies) and none for processors
(vectors). They run in the linker of the ``ziglang`` package, a release build of LLVM that takes a list of passes as
text: llvmlite, whose build ends its process where NewGVN counts too long, only writes bitcode and reads it back.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from aebert.support.errors import AebertError
from codegen.schedule.frontend.clang import check_installed
from codegen.schedule.schedule_cache import keep_bytes, kept_bytes, key_of

_SROA = "sroa<preserve-cfg>"
_COMBINE = "instcombine<no-verify-fixpoint>"
# Whole expressions only: what is known on one of two paths is not computed on the other for it.
_NUMBER = "gvn<no-pre;no-load-pre;no-split-backedge-load-pre;memdep>"
_INLINE = ("always-inline", f"function({_SROA})", "globaldce")
_UNROLL = ("simplifycfg", _COMBINE, _SROA, "loop-simplify", "lcssa", "loop-unroll")
_SIMPLIFY = (
    # First what is cheap: of a kernel with many lanes three in four of the unrolled instructions go.
    _SROA, "early-cse", "simplifycfg", "sccp",
    _COMBINE, "simplifycfg", _SROA, "sccp", _NUMBER, _COMBINE, _SROA, "adce", "simplifycfg", _COMBINE,
)  # fmt: skip
_PASSES = ",".join((*_INLINE, f"function({','.join((*_UNROLL, *_SIMPLIFY))})"))
# Loops that are not marked are unrolled whatever it costs, never by a part.
_OPTIONS = (
    "-unroll-threshold=1000000000",
    "-unroll-full-max-count=1000000",
    "-unroll-max-iteration-count-to-analyze=0",
    "-unroll-allow-partial=0",
    "-unroll-runtime=0",
)
_SECONDS = 600.0
# instcombine widens odd integers to the processor's.
_NATIVE_INTEGERS = re.compile(r'(?<=^target datalayout = ")(.*?)-n[\d:]+', re.MULTILINE)
_ACCESSES = re.compile(
    r"^declare .*@aebert_(?:iteration|stream_(?:read|read_nb|empty|full|write|write_nb))\(.*?\)", re.MULTILINE
)
_HELPERS = re.compile(
    r"^define (?:linkonce_odr|internal|available_externally) (.*?\)(?: (?:local_)?unnamed_addr)?)(?= [^()]*\{$)",
    re.MULTILINE,
)


def optimise(ir: str) -> str:
    """Text of a module -> text of the optimised module. Raises AebertError where LLVM refuses it, or fails at it."""
    check_installed("ziglang", "llvmlite")
    from llvmlite import binding

    prepared = _prepared(ir)
    try:
        module = binding.parse_assembly(prepared)
    except RuntimeError as error:
        raise AebertError(f"LLVM does not read what clang wrote: {str(error).splitlines()[0]}") from error
    key = key_of(prepared, _PASSES, *_OPTIONS)
    content = kept_bytes(f"{key}.bc")
    if content is None:
        content = _passed(module.as_bitcode())
        keep_bytes(f"{key}.bc", content)
    return str(binding.parse_bitcode(content))


def _passed(bitcode: bytes) -> bytes:
    with tempfile.TemporaryDirectory(prefix="aebert-schedule-") as scratch:
        given, result = Path(scratch) / "given.bc", Path(scratch) / "result.bc"
        given.write_bytes(bitcode)
        _run_passes(given, result)
        return result.read_bytes()


def _run_passes(given: Path, result: Path) -> None:
    """``-r`` keeps every function, and saving the symbols' resolution beside the result the names of its values."""
    command = [
        sys.executable, "-m", "ziglang", "ld.lld", "-r", "--lto-emit-llvm", "--save-temps=resolution",
        f"--lto-newpm-passes={_PASSES}",
        *(f"-mllvm={option}" for option in _OPTIONS), "-o", str(result), str(given),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise AebertError(f"LLVM's passes did not finish in {_SECONDS:g} s; please report the project") from None
    if done.returncode != 0 or not result.is_file():
        reason = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise AebertError(f"LLVM's passes ended with {done.returncode} ({reason[:200]}); please report the project")


def _prepared(ir: str) -> str:
    ir = _NATIVE_INTEGERS.sub(r"\1", ir)
    ir = _ACCESSES.sub(lambda found: f"{found[0]} memory(inaccessiblemem: readwrite)", ir)
    return _HELPERS.sub(r"define internal \1 alwaysinline", ir)
