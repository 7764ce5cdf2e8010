"""The one set of dynamic partitions: a photo in a theme."""

from typing import Final

import dagster as dg

from photopipe_dagster.core.dagster_names import PARTITIONS

photos: Final = dg.DynamicPartitionsDefinition(name=PARTITIONS)
"""One partition a photo and theme: ``sku/sha256/theme``, percent-encoded."""
