"""Whether a service that is down refuses access, so that a person has to act."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("breakers", sa.Column("refused", sa.Boolean))


def downgrade() -> None:
    op.drop_column("breakers", "refused")
