"""The storage class by the name that a `dagster.yaml` of version 0.1 has for it."""

from photopipe_dagster.defs.storage.pooled_postgres import PooledPostgresStorage

__all__ = ["PooledPostgresStorage"]
