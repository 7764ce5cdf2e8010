"""The ledger: jobs, money, the SKU map and watermarks, in SQLite or Postgres."""

from photopipe_dagster.ledger.ledger import Ledger

__all__ = ["Ledger"]
