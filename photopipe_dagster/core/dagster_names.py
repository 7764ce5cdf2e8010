"""Names that Dagster stores: renaming one orphans what is kept under it."""

from typing import Final

PARTITIONS: Final = "photos"
"""The set of dynamic partitions."""

DISPATCH_TAG: Final = "photopipe/dispatch"
"""Tag of a run: which dispatch of the ledger it carries out."""

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
PRIORITY: Final = "dagster/priority"

SCENE_PARTITIONS: Final = "scenes"
"""The set of dynamic partitions of scenes."""
