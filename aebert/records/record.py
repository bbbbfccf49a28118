"""One measured (or emulated, estimated, published) fact about a design, immutable and validated."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import Literal, get_args

from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError

FORMAT_VERSION = 1

Source = SourceKind

ResourceStage = Literal["estimated", "synthesised", "placed", "routed"]
"""How the resources were counted: HLS estimate, Vivado synthesis, placement, routing."""

Scope = Literal["design", "module", "loop", "kernel", "compute_unit", "system"]
"""What the figures cover: the whole accelerator, one function of it, one pipeline (``loop`` of ``module``, or the whole
function), one kernel, one compute unit of a kernel, or the whole chip with its platform."""

SOURCES: tuple[Source, ...] = get_args(Source)
RESOURCE_STAGES: tuple[ResourceStage, ...] = get_args(ResourceStage)
SCOPES: tuple[Scope, ...] = get_args(Scope)

_INT64_MAX = (1 << 63) - 1
_TEXT_LIMIT = 1000
_INPUTS_LIMIT = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COUNTS = (
    "sequence_length", "cycles_min", "cycles", "cycles_max", "runs", "lut", "ff", "dsp", "bram_18k", "uram",
    "initiation_interval", "pipeline_depth", "trip_count",
)  # fmt: skip
_POSITIVE_REALS = (
    "clock_asked_mhz", "clock_estimated_mhz", "clock_achieved_mhz", "latency_min_ms", "latency_ms", "latency_max_ms",
)  # fmt: skip
_DIGESTS = ("design_digest", "subnet_digest", "report_sha256")
_TEXTS = (
    "design", "module", "loop", "board", "part", "tool", "tool_version", "workload", "report_kind", "report_name",
    "status", "measured_at", "measured_by", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A fact and its provenance. Everything but ``source`` and ``design`` may be unknown (None).

    Latency is in cycles of the kernel clock, in ms, or both, as a central value (a mean, or the only value) and its
    ends; csynth gives ends only, as far as it knows them. Of a pipeline, ``initiation_interval``, ``pipeline_depth``
    and ``trip_count`` (the most iterations). ``runs`` is how many runs a mean is over. Block RAM is in
    RAMB18 (``bram_18k``); one RAMB36 tile is two. ``clock_estimated_mhz`` is the HLS scheduler's guess,
    ``clock_achieved_mhz`` what placed and routed logic reached. ``measured_at`` is ISO 8601 in UTC. ``inputs`` is what
    the closed form needs to predict the run (aebert.cost_model.run_inputs).
    Raises AebertError naming the field.
    """

    source: Source
    design: str
    scope: Scope = "design"
    module: str | None = None
    loop: str | None = None
    design_digest: str | None = None
    subnet_digest: str | None = None
    board: str | None = None
    part: str | None = None
    tool: str | None = None
    tool_version: str | None = None
    clock_asked_mhz: float | None = None
    clock_estimated_mhz: float | None = None
    clock_achieved_mhz: float | None = None
    cycles_min: int | None = None
    cycles: int | None = None
    cycles_max: int | None = None
    latency_min_ms: float | None = None
    latency_ms: float | None = None
    latency_max_ms: float | None = None
    runs: int | None = None
    initiation_interval: int | None = None
    pipeline_depth: int | None = None
    trip_count: int | None = None
    sequence_length: int | None = None
    workload: str | None = None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram_18k: int | None = None
    uram: int | None = None
    resource_stage: ResourceStage | None = None
    status: str | None = None
    report_kind: str | None = None
    report_name: str | None = None
    report_sha256: str | None = None
    measured_at: str | None = None
    measured_by: str | None = None
    note: str | None = None
    inputs: str | None = None

    def __post_init__(self) -> None:
        _check_choice("source", self.source, SOURCES)
        _check_choice("scope", self.scope, SCOPES)
        if self.resource_stage is not None:
            _check_choice("resource_stage", self.resource_stage, RESOURCE_STAGES)
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        _check_text("inputs", self.inputs, _INPUTS_LIMIT)
        if not (self.design or "").strip():
            raise AebertError("run record: design is empty; name the design (its top function or digest)")
        for name in _DIGESTS:
            _check_digest(name, getattr(self, name))
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name in _POSITIVE_REALS:
            _check_real(name, getattr(self, name))
        if self.measured_at is not None:
            _check_utc(self.measured_at)
        _check_order("cycles", self.cycles_min, self.cycles, self.cycles_max)
        _check_order("latency", self.latency_min_ms, self.latency_ms, self.latency_max_ms)
        resources = (self.lut, self.ff, self.dsp, self.bram_18k, self.uram)
        if self.resource_stage is None and any(count is not None for count in resources):
            raise AebertError("run record: resources without resource_stage; say how they were counted")


def content_digest(record: RunRecord) -> str:
    """SHA-256 over the canonical JSON of all fields: equal records have equal digests on every machine."""
    content = {"format": FORMAT_VERSION} | {key: value for key, value in asdict(record).items() if value is not None}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def utc_now() -> str:
    """The current time as records write it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in fields(RunRecord))
REAL_FIELDS = frozenset(_POSITIVE_REALS)
COUNT_FIELDS = frozenset(_COUNTS)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise AebertError(f"run record: {name} {value!r} is unknown; use one of {', '.join(choices)}")


def _check_text(name: str, value: object, limit: int = _TEXT_LIMIT) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise AebertError(f"run record: {name} {value!r} is not text")
    if len(value) > limit:
        raise AebertError(f"run record: {name} has {len(value)} characters; keep it under {limit}")
    if any(not char.isprintable() for char in value):
        raise AebertError(f"run record: {name} {value[:60]!r} has control characters; remove them")


def _check_digest(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and _SHA256.fullmatch(value)):
        raise AebertError(f"run record: {name} {value!r} is not a SHA-256 in lower-case hex")


def _check_count(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _INT64_MAX:
        raise AebertError(f"run record: {name} {value!r} is not a count (an integer from 0 to 2^63-1)")


def _check_real(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, float) or not math.isfinite(value) or value <= 0:
        raise AebertError(f"run record: {name} {value!r} is not a positive number")


def _check_utc(value: str) -> None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None or moment.utcoffset() != timezone.utc.utcoffset(None):
        raise AebertError(f"run record: measured_at {value!r} is not ISO 8601 in UTC, such as {utc_now()}")


def _check_order(name: str, low: float | None, middle: float | None, high: float | None) -> None:
    known = [value for value in (low, middle, high) if value is not None]
    if known != sorted(known):
        raise AebertError(f"run record: {name} minimum, value and maximum {low}, {middle}, {high} are out of order")
