"""The table of run records.

Written out on its own: it must keep making the first schema when aebert.records.schema has moved on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REALS = (
    "clock_asked_mhz", "clock_estimated_mhz", "clock_achieved_mhz", "latency_min_ms", "latency_ms", "latency_max_ms",
)  # fmt: skip
_COUNTS = (
    "cycles_min", "cycles", "cycles_max", "runs", "sequence_length", "lut", "ff", "dsp", "bram_18k", "uram",
)  # fmt: skip
_TEXTS = (
    "module", "board", "part", "tool", "tool_version", "workload", "status", "report_kind", "report_name",
    "measured_at", "measured_by", "note",
)  # fmt: skip
_DIGESTS = ("design_digest", "subnet_digest", "report_sha256")
_INDEXED = ("source", "design", "design_digest", "subnet_digest", "board")


def upgrade() -> None:
    op.create_table(
        "run_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("recorded_at", sa.String(40), nullable=False),
        sa.Column("recorded_by", sa.String(200), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("design", sa.String(1000), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("resource_stage", sa.String(16)),
        *(sa.Column(name, sa.String(1000)) for name in _TEXTS),
        *(sa.Column(name, sa.String(64)) for name in _DIGESTS),
        *(sa.Column(name, sa.Float(53)) for name in _REALS),
        *(sa.Column(name, sa.BigInteger()) for name in _COUNTS),
    )
    for name in _INDEXED:
        op.create_index(f"ix_run_records_{name}", "run_records", [name])


def downgrade() -> None:
    op.drop_table("run_records")
