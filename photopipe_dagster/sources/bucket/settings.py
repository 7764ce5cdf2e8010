"""The settings of the bucket with photos."""

from __future__ import annotations

from pydantic import Field

from photopipe_dagster.core.plugins import PluginSettings


class BucketSourceSettings(PluginSettings):
    """Which bucket is listed, and how often."""

    bucket_source: str | None = Field(
        None,
        pattern="^(s3://)?[^/:]+(/.*)?$",
        description="`bucket/prefix`: photos with such keys are taken, named after their SKUs. "
        "AWS_REGION, AWS_ENDPOINT_URL_S3 and the AWS credentials hold for it too. Empty: none.",
    )
    bucket_source_seconds: int = Field(300, ge=1, description="Seconds between two listings.")
    bucket_source_overlap_seconds: int = Field(
        86_400,
        ge=0,
        description="How far before the last photo each listing looks again: S3 dates a long "
        "upload by its beginning.",
    )
