"""A bucket among the sources of photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Polling, Schedule, SourceContext, SourcePlugin
from photopipe_dagster.sources.bucket.settings import BucketSourceSettings

if TYPE_CHECKING:
    from photopipe_dagster.sources.bucket.source import BucketSource

SCHEME = "bucket"


class Plugin(SourcePlugin):
    """A bucket; it is listed, and nothing in it is changed."""

    name = "bucket"
    title = "the bucket"
    settings = BucketSourceSettings
    schemes = frozenset({SCHEME})
    polling = Polling(sensor="bucket_poll", watermark="bucket", arrives_by="bucket")

    def open(self, context: SourceContext) -> BucketSource:
        """The bucket of BUCKET_SOURCE."""
        from photopipe_dagster.sources.bucket.source import BucketSource

        return BucketSource(context.settings)

    def schedule(self, settings: Settings) -> Schedule:
        """Every BUCKET_SOURCE_SECONDS."""
        ours = settings.of(BucketSourceSettings)
        off = None if ours.bucket_source else "BUCKET_SOURCE is not set."
        return Schedule(ours.bucket_source_seconds, ours.bucket_source_overlap_seconds, off=off)
