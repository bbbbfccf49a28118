"""II, depth and trip count of a pipeline, and the loop that it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTS = ("initiation_interval", "pipeline_depth", "trip_count")


def upgrade() -> None:
    op.add_column("run_records", sa.Column("loop", sa.String(1000)))
    for name in _COUNTS:
        op.add_column("run_records", sa.Column(name, sa.BigInteger()))


def downgrade() -> None:
    for name in ("loop", *_COUNTS):
        op.drop_column("run_records", name)
