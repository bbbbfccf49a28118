"""The database itself refuses to change or delete a record (SQLite and PostgreSQL)."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MESSAGE = "run records are append-only"


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER run_records_no_{change.lower()} BEFORE {change} ON run_records "
                f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
            )
    elif dialect == "postgresql":
        op.execute(
            "CREATE FUNCTION run_records_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER run_records_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON run_records "
            "FOR EACH STATEMENT EXECUTE FUNCTION run_records_append_only()"
        )


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        op.execute("DROP TRIGGER run_records_no_update")
        op.execute("DROP TRIGGER run_records_no_delete")
    elif dialect == "postgresql":
        op.execute("DROP TRIGGER run_records_no_change ON run_records")
        op.execute("DROP FUNCTION run_records_append_only()")
