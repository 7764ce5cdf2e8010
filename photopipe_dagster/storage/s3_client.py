"""The S3 client: `dagster_aws`' S3 resource with our limits. Imported only where S3 is chosen."""

# No `from __future__ import annotations` here: it breaks Dagster's config classes.
from typing import Any, Final, cast

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from dagster_aws.s3 import S3Resource

CONNECT_TIMEOUT: Final = 5.0
"""Seconds."""

READ_TIMEOUT: Final = 60.0
"""Seconds between two arrivals of bytes."""

CONNECTIONS: Final = 64
"""Connections kept open: as many as there are photos in flight, and some."""


class PatientS3Resource(S3Resource):
    """`S3Resource` whose client has named time limits, enough connections and SigV4 URLs.

    Retries are botocore's standard mode (exponential backoff with jitter; 5xx, throttling,
    connection errors), ``max_attempts`` in all. Credentials come from the usual AWS chain.

    Args:
        request_checksums: botocore's ``request_checksum_calculation``; where ``None``, what the
            environment or AWS' configuration file says.
        response_checksums: botocore's ``response_checksum_validation``, the same way.
    """

    request_checksums: str | None = None
    response_checksums: str | None = None

    def get_client(self) -> Any:
        """A thread-safe boto3 S3 client."""
        session = boto3.session.Session(
            profile_name=self.profile_name,
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=self.aws_secret_access_key,
            aws_session_token=self.aws_session_token,
        )
        return session.client(
            "s3",
            region_name=self.region_name,
            endpoint_url=self.endpoint_url,
            use_ssl=self.use_ssl,
            verify=self.verify,
            config=Config(
                # Without it, URLs for us-east-1 are signed the old way, which other regions and
                # encrypted buckets refuse.
                signature_version=UNSIGNED if self.use_unsigned_session else "s3v4",
                retries={"mode": "standard", "total_max_attempts": self.max_attempts},
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                max_pool_connections=CONNECTIONS,
                request_checksum_calculation=cast(Any, self.request_checksums),
                response_checksum_validation=cast(Any, self.response_checksums),
                # Few compatible servers know a host name for each bucket.
                s3={"addressing_style": "path" if self.endpoint_url else "virtual"},
            ),
        )
