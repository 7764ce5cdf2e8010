"""The settings of 3JMS."""

from __future__ import annotations

from pydantic import Field, SecretStr

from photopipe_dagster.core.plugins import PluginSettings


class ThreeJmsSettings(PluginSettings):
    """How 3JMS is reached, and how it proves that it sent a webhook."""

    threejms_webhook_secret: SecretStr | None = Field(
        None,
        description="Signs webhooks. Several, separated by commas, while one replaces another. "
        "Must be set in production, to at least 12 characters each; empty in development accepts "
        "unsigned webhooks, with a warning.",
    )
    threejms_api_url: str | None = Field(
        None,
        description="Base URL for polling, which finds photos whose webhook was missed. "
        "Empty: no polling.",
    )
    threejms_api_key: SecretStr | None = Field(
        None, description="Key for polling. None is sent where it is empty."
    )
    threejms_auth_scheme: str = Field(
        "Token", description="Word before the key in the Authorization header."
    )
    threejms_photos_path: str = Field(
        "/photos", description="Path of the list of photos below THREEJMS_API_URL."
    )
    threejms_page_size: int = Field(
        100, ge=1, le=1000, description="Photos asked for in one request."
    )
    threejms_poll_seconds: int = Field(300, ge=1, description="Seconds between two polls.")
    threejms_poll_overlap_seconds: int = Field(
        600, ge=0, description="How far before the last photo each poll looks again, in seconds."
    )
