"""Columns of jobs that were named after one shop."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NAMES = {"shopify_product_id": "product_id", "shopify_media_id": "media_id"}


def upgrade() -> None:
    for old, new in _NAMES.items():
        _rename(old, new)


def downgrade() -> None:
    for old, new in _NAMES.items():
        _rename(new, old)


def _rename(old: str, new: str) -> None:
    # As SQL: on SQLite, Alembic would copy the table for it, and lose its triggers.
    op.execute(f"ALTER TABLE jobs RENAME COLUMN {old} TO {new}")
