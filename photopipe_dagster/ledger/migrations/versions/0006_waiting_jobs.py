"""What jobs wait for, which service a failure blames, and since when a service fails."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("waits_for", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("blames", sa.String(length=64), nullable=True))
    op.add_column("breakers", sa.Column("failing_since", sa.DateTime(), nullable=True))
    op.execute(
        "UPDATE jobs SET waits_for = 'budget' "
        "WHERE status = 'FAILED' AND error_code = 'COST_LIMIT_ERROR'"
    )


def downgrade() -> None:
    op.drop_column("breakers", "failing_since")
    op.drop_column("jobs", "blames")
    op.drop_column("jobs", "waits_for")
