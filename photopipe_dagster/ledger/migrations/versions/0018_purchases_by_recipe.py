"""Purchases are found by their recipe: what is bought of the same bytes is bought once."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("spending", sa.Column("recipe", sa.String(64)))
    place = "position('#' in purchase_key)"
    if op.get_bind().dialect.name == "sqlite":
        place = "instr(purchase_key, '#')"
    op.execute(f"UPDATE spending SET recipe = substr(purchase_key, {place} + 1, 64)")  # noqa: S608  # one of two texts above
    op.create_index("ix_spending_recipe", "spending", ["recipe"])


def downgrade() -> None:
    op.execute("DELETE FROM spending WHERE state = 'shared'")
    op.drop_index("ix_spending_recipe", "spending")
    op.drop_column("spending", "recipe")
