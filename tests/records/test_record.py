"""A run record is immutable, validated, and known by the digest of its content."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given

from aebert.records.record import FIELD_NAMES, SOURCES, RunRecord, Source, content_digest, utc_now
from aebert.records.schema import RunRow
from aebert.support.errors import AebertError
from tests.support.run_records import run_records


def test_a_record_cannot_be_changed() -> None:
    record = RunRecord(source="hw", design="encoder")
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.cycles = 3  # type: ignore[misc]  # that it cannot is the point


def test_the_table_has_a_column_for_every_field() -> None:
    assert set(FIELD_NAMES) | {"id", "digest", "recorded_at", "recorded_by"} == set(RunRow.__table__.columns.keys())


@given(record=run_records(), other=run_records())
def test_digests_are_equal_exactly_when_contents_are(record: RunRecord, other: RunRecord) -> None:
    assert content_digest(record) == content_digest(dataclasses.replace(record))
    assert (content_digest(record) == content_digest(other)) == (record == other)


def test_the_digest_does_not_depend_on_the_machine() -> None:
    record = RunRecord(source="csynth", design="encoder", cycles_max=42, clock_asked_mhz=300.3003003003003)
    assert content_digest(record) == "67d73f53fda6987484f540af2d10d490282de9f645fe504d02e307ab5c3dcbab"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "guess"}, "source 'guess' is unknown; use one of emulated, csynth"),
        ({"scope": "half"}, "scope 'half' is unknown"),
        ({"resource_stage": "hoped"}, "resource_stage 'hoped' is unknown"),
        ({"design": "  "}, "design is empty"),
        ({"design": None}, "design is empty"),
        ({"design": 7}, "design 7 is not text"),
        ({"board": "u200\nrm"}, "control characters"),
        ({"note": "x" * 1001}, "note has 1001 characters"),
        ({"design_digest": "ABC"}, "design_digest 'ABC' is not a SHA-256"),
        ({"cycles": -1}, "cycles -1 is not a count"),
        ({"cycles": True}, "cycles True is not a count"),
        ({"cycles": 1.0}, "cycles 1.0 is not a count"),
        ({"cycles": 2**63}, "is not a count"),
        ({"latency_ms": 0.0}, "latency_ms 0.0 is not a positive number"),
        ({"latency_ms": math.nan}, "latency_ms nan is not a positive number"),
        ({"clock_achieved_mhz": math.inf}, "is not a positive number"),
        ({"measured_at": "yesterday"}, "measured_at 'yesterday' is not ISO 8601 in UTC"),
        ({"measured_at": "2026-01-01T00:00:00+02:00"}, "is not ISO 8601 in UTC"),
        ({"measured_at": "2026-01-01T00:00:00"}, "is not ISO 8601 in UTC"),
        ({"cycles_min": 5, "cycles_max": 4}, "cycles minimum, value and maximum 5, None, 4 are out of order"),
        ({"latency_ms": 5.0, "latency_max_ms": 4.0}, "latency minimum, value and maximum"),
        ({"lut": 5}, "resources without resource_stage"),
    ],
)
def test_an_impossible_record_is_refused_by_field(changes: dict[str, object], said: str) -> None:
    fields: dict[str, object] = {"source": "hw", "design": "encoder"} | changes
    with pytest.raises(AebertError) as caught:
        RunRecord(**fields)  # type: ignore[arg-type]  # wrong on purpose
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_accepted(source: Source) -> None:
    assert RunRecord(source=source, design="encoder", measured_at=utc_now()).source == source
