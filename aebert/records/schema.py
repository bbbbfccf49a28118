"""The table of run records (SQLAlchemy ORM). The database itself is made by the migrations, never from here."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TABLE = "run_records"
# Our own name, so that the table of an application that also uses Alembic is never taken for ours.
VERSION_TABLE = "aebert_schema_version"


class Base(DeclarativeBase):
    """Metadata of the run database."""


class RunRow(Base):
    """One stored record: the columns of ``RunRecord``, its digest, and when and by whom it was stored."""

    __tablename__ = TABLE

    # SQLite numbers rows itself only for a plain INTEGER key.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    recorded_at: Mapped[str] = mapped_column(String(40))
    recorded_by: Mapped[str] = mapped_column(String(200))

    source: Mapped[str] = mapped_column(String(16), index=True)
    design: Mapped[str] = mapped_column(String(1000), index=True)
    scope: Mapped[str] = mapped_column(String(16))
    module: Mapped[str | None] = mapped_column(String(1000))
    loop: Mapped[str | None] = mapped_column(String(1000))
    design_digest: Mapped[str | None] = mapped_column(String(64), index=True)
    subnet_digest: Mapped[str | None] = mapped_column(String(64), index=True)
    board: Mapped[str | None] = mapped_column(String(1000), index=True)
    part: Mapped[str | None] = mapped_column(String(1000))
    tool: Mapped[str | None] = mapped_column(String(1000))
    tool_version: Mapped[str | None] = mapped_column(String(1000))
    clock_asked_mhz: Mapped[float | None] = mapped_column(Float(53))
    clock_estimated_mhz: Mapped[float | None] = mapped_column(Float(53))
    clock_achieved_mhz: Mapped[float | None] = mapped_column(Float(53))
    cycles_min: Mapped[int | None] = mapped_column(BigInteger)
    cycles: Mapped[int | None] = mapped_column(BigInteger)
    cycles_max: Mapped[int | None] = mapped_column(BigInteger)
    latency_min_ms: Mapped[float | None] = mapped_column(Float(53))
    latency_ms: Mapped[float | None] = mapped_column(Float(53))
    latency_max_ms: Mapped[float | None] = mapped_column(Float(53))
    runs: Mapped[int | None] = mapped_column(BigInteger)
    initiation_interval: Mapped[int | None] = mapped_column(BigInteger)
    pipeline_depth: Mapped[int | None] = mapped_column(BigInteger)
    trip_count: Mapped[int | None] = mapped_column(BigInteger)
    sequence_length: Mapped[int | None] = mapped_column(BigInteger)
    workload: Mapped[str | None] = mapped_column(String(1000))
    lut: Mapped[int | None] = mapped_column(BigInteger)
    ff: Mapped[int | None] = mapped_column(BigInteger)
    dsp: Mapped[int | None] = mapped_column(BigInteger)
    bram_18k: Mapped[int | None] = mapped_column(BigInteger)
    uram: Mapped[int | None] = mapped_column(BigInteger)
    resource_stage: Mapped[str | None] = mapped_column(String(16))
    status: Mapped[str | None] = mapped_column(String(1000))
    report_kind: Mapped[str | None] = mapped_column(String(1000))
    report_name: Mapped[str | None] = mapped_column(String(1000))
    report_sha256: Mapped[str | None] = mapped_column(String(64))
    measured_at: Mapped[str | None] = mapped_column(String(1000))
    measured_by: Mapped[str | None] = mapped_column(String(1000))
    note: Mapped[str | None] = mapped_column(String(1000))
    inputs: Mapped[str | None] = mapped_column(Text)
