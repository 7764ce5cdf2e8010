"""What Shopify says that a product is: its category and the merchant's own word for its kind."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("products", sa.Column("category_id", sa.String(length=128), nullable=True))
    op.add_column("products", sa.Column("category", sa.Text(), nullable=True))
    op.add_column("products", sa.Column("product_type", sa.Text(), nullable=True))


def downgrade() -> None:
    for column in ("product_type", "category", "category_id"):
        op.drop_column("products", column)
