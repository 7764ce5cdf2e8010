"""An object store in an S3 bucket, at AWS or at any compatible endpoint.

What S3 answers is read strictly: an object is absent only if a GET says ``NoSuchKey``. A missing
bucket, a refusal or a proxy's own 404 are errors, because what looks missing is bought again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypedDict
from urllib.parse import unquote

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from urllib3.exceptions import HTTPError

from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.storage.base import ObjectInfo, ObjectStore, StoredObject
from photopipe_dagster.storage.key_rules import (
    RESERVED,
    check_key,
    check_metadata,
    check_prefix,
    encode_value,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class _Proof(TypedDict, total=False):
    ChecksumSHA256: str
    ContentMD5: str


_READS: Final = 3
"""How often an object is read before a broken transfer counts; botocore repeats only requests."""

_RARELY: Final = "when_required"
"""botocore's word for a server that is sent no checksum headers."""

_LONGEST_WORDS: Final = 300

_URL_SECRETS: Final = re.compile(r"(?<=://)[^\s/@]*@|(?<=[^\s?])[?]\S+")
"""User and query of a URL."""

_BROKEN = (HTTPClientError, IncompleteReadError, FlexibleChecksumError, HTTPError)
"""A transfer that stopped or came out changed; the last one is urllib3's, of TLS."""

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)

_TRANSIENT: Final = frozenset(
    {
        "SlowDown",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "BadDigest",
        "XAmzContentChecksumMismatch",
    }
)
"""Codes after which trying again can help, beside all 5xx and 429.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

_REGION_ADVICE = "The bucket is in another region: set AWS_REGION to the bucket's."
_KEY_ADVICE = "Check the AWS credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or role)."
_RIGHTS_ADVICE = (
    "Allow s3:GetObject, s3:PutObject and s3:DeleteObject on the bucket's objects, and "
    "s3:ListBucket on the bucket (without it S3 also answers 403 for objects that are not there)."
)

_CHECKSUM_ADVICE = (
    "Where the server does not take checksum headers, set AWS_REQUEST_CHECKSUM_CALCULATION and "
    "AWS_RESPONSE_CHECKSUM_VALIDATION to when_required."
)

_ADVICE: Final = {
    "NoSuchBucket": "Create the bucket, or correct {setting}, AWS_REGION and AWS_ENDPOINT_URL_S3.",
    "PermanentRedirect": _REGION_ADVICE,
    "AuthorizationHeaderMalformed": _REGION_ADVICE,
    "IllegalLocationConstraintException": _REGION_ADVICE,
    "InvalidAccessKeyId": _KEY_ADVICE,
    "SignatureDoesNotMatch": _KEY_ADVICE,
    "InvalidToken": _KEY_ADVICE,
    "ExpiredToken": "The AWS session has expired: renew the credentials.",
    "RequestTimeTooSkewed": "Set this machine's clock.",
    "EntityTooLarge": "The object is too large for one upload.",
}


class S3Store(ObjectStore):
    """Objects in a bucket.

    Args:
        client: An S3 client with the right region, endpoint, retries and time limits; see
            `s3_client.PatientS3Resource`.
        bucket: The bucket's name; it must exist.
        public: A client whose endpoint is the one that outsiders reach, for presigned URLs: a
            signature holds for one host. It sends nothing. ``client`` where not given.
        setting: The variable that names the bucket, for messages.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        public: S3Client | None = None,
        *,
        setting: str = "S3_BUCKET",
    ) -> None:
        self._client = client
        self._setting = setting
        self._public = public or client
        self._bucket = bucket

    def __repr__(self) -> str:
        return f"S3Store({self._bucket!r})"

    def head(self, key: str) -> ObjectInfo | None:
        check_key(key)
        with self._explained("describe", key):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _status(error) != 404:
                    raise
            else:
                return self._info(key, answer)
        # The answer to HEAD has no body, so its 404 may also mean the bucket: a GET tells.
        found = self._get(key)
        return found.info if found else None

    def get(self, key: str) -> StoredObject | None:
        check_key(key)
        return self._get(key)

    def put(
        self, key: str, data: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """Store an object atomically; S3 refuses it if its digest does not arrive intact."""
        check_key(key)
        check_metadata(metadata or {})
        self._put(key, data, content_type, metadata or {})
        return ObjectInfo(key, len(data), content_type, datetime.now(UTC), dict(metadata or {}))

    def delete(self, key: str) -> None:
        check_key(key)
        self._delete(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2")
        with self._explained("list", prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if not entry["Key"].startswith(f"{RESERVED}/"):
                        yield ObjectInfo(entry["Key"], entry["Size"], "", entry["LastModified"])

    def presign_get(self, key: str, expires_in: int) -> str:
        """A URL of S3 that reads one object. A secret: never log it."""
        return self._presign("get_object", expires_in, {"Key": key})

    def presign_put(self, key: str, expires_in: int, *, content_type: str) -> str:
        """A URL of S3 that stores one object; the upload must declare the content type."""
        return self._presign("put_object", expires_in, {"Key": key, "ContentType": content_type})

    def remove_leftovers(self) -> int:
        """There are none: a bucket shows no object before all of it has arrived."""
        return 0

    def check(self) -> None:
        key = f"{RESERVED}/probe-{secrets.token_hex(8)}"
        probe = secrets.token_bytes(16)
        self._put(key, probe, "application/octet-stream", {})
        try:
            found = self._get(key)
        finally:
            self._delete(key)
        if found is None or found.data != probe:
            raise StorageError(
                f"The bucket {self._bucket} does not return what was stored in it. Check what "
                "answers at AWS_ENDPOINT_URL_S3."
            )

    # --- requests ------------------------------------------------------------------------

    def _get(self, key: str) -> StoredObject | None:
        with self._explained("read", key):
            for attempt in range(1, _READS + 1):
                try:
                    answer = self._client.get_object(Bucket=self._bucket, Key=key)
                except ClientError as error:
                    if _code(error) == "NoSuchKey":
                        return None
                    raise
                try:
                    # Not the body's own context manager: that gives the raw, unchecked stream.
                    with closing(answer["Body"]) as body:
                        return StoredObject(self._info(key, answer), body.read())
                except _BROKEN:
                    if attempt == _READS:
                        raise
        raise AssertionError("an object is read at least once")

    def _put(self, key: str, data: bytes, content_type: str, metadata: Mapping[str, str]) -> None:
        with self._explained("store", key):
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=data,
                ContentType=content_type,
                Metadata={name: encode_value(value) for name, value in metadata.items()},
                **self._proof_of(data),
            )
        if "ETag" not in answer:
            raise self._somebody_else("store", key)

    def _proof_of(self, data: bytes) -> _Proof:
        """What the server compares with the bytes that arrive, in a form that it takes."""
        if getattr(self._client.meta.config, "request_checksum_calculation", "") == _RARELY:
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            return {"ContentMD5": base64.b64encode(digest).decode()}
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(data).digest()).decode()}

    def _delete(self, key: str) -> None:
        with self._explained("delete", key):
            try:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _code(error) != "NoSuchKey":  # AWS answers 204, some others say this
                    raise

    def _presign(self, operation: str, expires_in: int, parameters: dict[str, str]) -> str:
        check_key(parameters["Key"])
        if expires_in < 1:
            raise ValueError(f"a URL is valid for at least 1 second, not {expires_in}")
        with self._explained("sign a URL of", parameters["Key"]):
            return self._public.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **parameters}, ExpiresIn=expires_in
            )

    def _info(self, key: str, answer: Mapping[str, Any]) -> ObjectInfo:
        """What an answer says of its object; S3 always says when it was stored."""
        if "LastModified" not in answer:
            raise self._somebody_else("read", key)
        metadata = answer.get("Metadata", {})
        return ObjectInfo(
            key=key,
            size=answer["ContentLength"],
            content_type=answer.get("ContentType", "application/octet-stream"),
            modified=answer["LastModified"],
            metadata={name.lower(): unquote(value) for name, value in metadata.items()},
        )

    def _somebody_else(self, doing: str, key: str) -> StorageError:
        """The error of an answer that no S3 gives, such as a proxy's page with status 200."""
        return StorageError(
            f"Cannot {doing} {key} in the bucket {self._bucket}: what answered is no object store. "
            "Check AWS_ENDPOINT_URL_S3, and that no proxy is in the way.",
            details={"bucket": self._bucket, "key": key},
        )

    @contextmanager
    def _explained(self, doing: str, key: str) -> Iterator[None]:
        """Turn an error of S3 or of the way to it into one that says what to do."""
        try:
            yield
        except ClientError as error:
            self._refused(doing, key, error)
        except (BotoCoreError, HTTPError) as error:
            self._unreached(doing, key, error)

    def _refused(self, doing: str, key: str, error: ClientError) -> NoReturn:
        code, status = _code(error), _status(error)
        said = str(status) if code in ("", str(status)) else f"{status} {code}"  # HEAD has no body
        words = "" if said == str(status) else _words(error)
        retryable = status >= 500 or status == 429 or code in _TRANSIENT
        if retryable:
            advice = "S3 is busy or broken; trying again later helps."
        else:
            usual = _RIGHTS_ADVICE if status == 403 else "Check {setting} and AWS_ENDPOINT_URL_S3."
            advice = _ADVICE.get(code, _REGION_ADVICE if status == 301 else usual)
            advice = advice.replace("{setting}", self._setting)
        if words and not retryable and "checksum" in words.lower():
            advice = _CHECKSUM_ADVICE
        raise StorageError(
            f"Cannot {doing} {key} in the bucket {self._bucket}: S3 answered {said}"
            f"{f' ({words})' if words else ''}. {advice}",
            details={
                "bucket": self._bucket,
                "key": key,
                "code": code,
                "status": status,
                "request_id": error.response.get("ResponseMetadata", {}).get("RequestId", ""),
            },
            retryable=retryable,
        ) from error

    def _unreached(self, doing: str, key: str, error: BotoCoreError | HTTPError) -> NoReturn:
        kind = type(error).__name__
        retryable = not isinstance(error, (*_CREDENTIALS, ParamValidationError))
        if isinstance(error, _CREDENTIALS):
            advice = "There are no AWS credentials: set AWS_ACCESS_KEY_ID and the rest, or a role."
        elif retryable:
            advice = "Check the network and AWS_ENDPOINT_URL_S3."
        else:
            advice = f"Check {self._setting}."
        raise StorageError(
            f"Cannot {doing} {key} in the bucket {self._bucket}: {kind}. {advice}",
            details={"bucket": self._bucket, "key": key, "code": kind},
            retryable=retryable,
        ) from error


def _words(error: ClientError) -> str:
    """What the server says, in one short line; of URLs, nothing that may be signed."""
    flat = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    return _URL_SECRETS.sub("", flat)[:_LONGEST_WORDS].rstrip(". ")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
