"""Which object store the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner, load_or_create_secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from photopipe_dagster.storage.s3 import S3Store


def object_store(settings: Settings) -> ObjectStore:
    """The bucket S3_BUCKET, or the folder ``DATA_DIR/objects`` where that is empty.

    Raises:
        ConfigurationError: The secret that signs URLs of local files cannot be kept.
    """
    if not settings.s3_bucket:
        signer = UrlSigner(load_or_create_secret(settings))
        return LocalStore(settings.data_dir / "objects", settings.base_url, signer)
    public = settings.s3_public_endpoint_url
    return bucket_store(settings, settings.s3_bucket, public=public)


def bucket_store(
    settings: Settings, bucket: str, *, public: str | None = None, setting: str = "S3_BUCKET"
) -> S3Store:
    """A bucket at the endpoint that the settings name.

    Args:
        public: Where outsiders reach that endpoint.
        setting: The variable that names the bucket, for messages.
    """
    # boto3 costs a second of start-up, which the embedded setup does not owe.
    from photopipe_dagster.storage.s3 import S3Store
    from photopipe_dagster.storage.s3_client import PatientS3Resource

    def client(endpoint: str | None) -> S3Client:
        resource = PatientS3Resource(
            region_name=settings.aws_region,
            endpoint_url=endpoint,
            request_checksums=settings.aws_request_checksum_calculation,
            response_checksums=settings.aws_response_checksum_validation,
        )
        made: S3Client = resource.get_client()
        return made

    ours = client(settings.aws_endpoint_url_s3)
    return S3Store(ours, bucket, client(public) if public else None, setting=setting)
