"""How often jobs came to each status, which never falls."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ARRIVED = "INSERT INTO job_arrivals (status, jobs) VALUES (NEW.status, 1);"
_TRIGGERS = {
    "job_arrivals_insert": "INSERT ON jobs FOR EACH ROW",
    "job_arrivals_update": "UPDATE OF status ON jobs FOR EACH ROW WHEN (OLD.status <> NEW.status)",
}


def upgrade() -> None:
    op.create_table(
        "job_arrivals",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("jobs", sa.BigInteger, nullable=False),
    )
    # Of what was before, it is known how many are there.
    op.execute(
        "INSERT INTO job_arrivals (status, jobs) "
        "SELECT status, sum(jobs) FROM job_counts GROUP BY status"
    )
    postgres = op.get_bind().dialect.name == "postgresql"
    for trigger, event in _TRIGGERS.items():
        action = f"BEGIN {_ARRIVED} END"
        if postgres:
            op.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {_ARRIVED} RETURN NULL; END $$"
            )
            action = f"EXECUTE FUNCTION {trigger}()"
        op.execute(f"CREATE TRIGGER {trigger} AFTER {event} {action}")


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for trigger in _TRIGGERS:
        op.execute(f"DROP TRIGGER {trigger}{' ON jobs' if postgres else ''}")
        if postgres:
            op.execute(f"DROP FUNCTION {trigger}()")
    op.drop_table("job_arrivals")
