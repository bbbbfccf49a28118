"""What the closed form needs to predict a run, kept with the run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_records", sa.Column("inputs", sa.Text()))


def downgrade() -> None:
    op.drop_column("run_records", "inputs")
