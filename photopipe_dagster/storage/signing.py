"""Signed URLs of local files: who may read or store which object, and until when.

A signature binds the method, the key, the expiry and, for uploads, the content type. It is an
HMAC-SHA256, so a URL cannot be changed or prolonged without the secret.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Final

from itsdangerous import Signer

from photopipe_dagster.core.atomic_file import create_file
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings

SECRET_FILE: Final = "url-signing-secret"  # noqa: S105  # a file's name
"""Name in DATA_DIR of the secret that is made where none is configured."""

MIN_SECRET_BYTES: Final = 16

_PURPOSE = "photopipe file url 1"


class UrlSigner:
    """Signs and verifies what a URL of a local file permits.

    Args:
        secret: At least 16 bytes; the same in every process that signs or verifies.
        clock: Seconds since 1970; tests pass their own.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"URL_SIGNING_SECRET must have at least {MIN_SECRET_BYTES} bytes; "
                "leave it empty to have one made."
            )
        # No key is derived, so that URLs of earlier versions stay valid: a provider may be about to
        # use one. `_PURPOSE` keeps these signatures apart from others of the same secret.
        self._signer = Signer(secret, key_derivation="none", digest_method=hashlib.sha256)
        self._clock = clock

    def expiry(self, expires_in: int) -> int:
        """When something that is valid for ``expires_in`` seconds ends; seconds since 1970."""
        if expires_in < 1:
            raise ValueError(f"a URL is valid for at least 1 second, not {expires_in}")
        return int(self._clock()) + expires_in

    def sign(self, method: str, key: str, expires: int, content_type: str = "") -> str:
        """The signature of one permission.

        Args:
            method: ``GET`` or ``PUT``.
            key: The object's key, decoded.
            expires: Until when, seconds since 1970; see `expiry`.
            content_type: What an upload must declare; empty for a GET.

        Returns:
            43 URL-safe characters.
        """
        return self._signer.get_signature(_permission(method, key, expires, content_type)).decode()

    def verify(
        self, method: str, key: str, expires: int, signature: str, content_type: str = ""
    ) -> bool:
        """Whether a signature permits this now. Takes the same time for any wrong signature.

        A HEAD request is verified as ``GET``: who may read an object may describe it.
        """
        permission = _permission(method, key, expires, content_type)
        return self._signer.verify_signature(permission, signature) and self._clock() < expires


def _permission(method: str, key: str, expires: int, content_type: str) -> str:
    return json.dumps([_PURPOSE, method, key, expires, content_type])


def load_or_create_secret(settings: Settings) -> bytes:
    """The secret of `UrlSigner`: URL_SIGNING_SECRET, or one that is made once in DATA_DIR.

    All processes of one DATA_DIR get the same, also if they start at the same moment.

    Raises:
        ConfigurationError: The secret can neither be read nor made; says what to do.
    """
    if settings.url_signing_secret is not None:
        return settings.url_signing_secret.get_secret_value().encode()
    path = settings.data_dir / SECRET_FILE
    try:
        if not path.exists():
            create_file(path, secrets.token_urlsafe(32).encode(), mode=0o600)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read or made ({error.strerror}). Let the user who runs Photopipe "
            "write to DATA_DIR, or set URL_SIGNING_SECRET."
        ) from error
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigurationError(f"{path} holds no secret. Delete it: another will be made.")
    return secret
