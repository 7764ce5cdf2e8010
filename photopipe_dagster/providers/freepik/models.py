"""What Freepik answers, typed. Raw JSON ends here.

Unknown fields are ignored and only what is needed is required, so that an addition on their side
stops nothing that was paid for. Addresses never show in a repr: they are signed.

Source: Freepik's OpenAPI of December 2024 and docs.freepik.com (2025); the Uploads API after
third-party clients of the specification of 2026.
"""

from __future__ import annotations

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class RemovedBackground(_Answer):
    """Answer of ``POST /v1/ai/beta/remove-background``; its addresses work for 5 minutes.

    Args:
        high_resolution: Address of the RGBA PNG, at most 25 megapixels. ``url`` is the same one.
    """

    high_resolution: str = Field(
        min_length=1, repr=False, validation_alias=AliasChoices("high_resolution", "url")
    )


class MysticTask(_Answer):
    """A background in the making.

    Args:
        task_id: Its id, of no documented shape.
        status: CREATED, IN_PROGRESS, COMPLETED or FAILED; any other word means "not yet".
        generated: Addresses of the pictures once it is COMPLETED; signed.
        has_nsfw: A flag a picture, once it is COMPLETED.
    """

    task_id: str = Field(min_length=1)
    status: str = "CREATED"
    generated: tuple[str, ...] = Field((), repr=False)
    has_nsfw: tuple[bool, ...] = ()

    @field_validator("generated", "has_nsfw", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: object) -> object:
        return () if value is None else value

    @property
    def completed(self) -> bool:
        """Whether its pictures are there."""
        return self.status.upper() == "COMPLETED"

    @property
    def failed(self) -> bool:
        """Whether there will never be pictures; Freepik gives no reason."""
        return self.status.upper() == "FAILED"


class MysticAnswer(_Answer):
    """Answer of ``POST /v1/ai/mystic`` and ``GET /v1/ai/mystic/{task-id}``."""

    data: MysticTask


class MysticList(_Answer):
    """Answer of ``GET /v1/ai/mystic``: how tasks stand, without their pictures."""

    data: tuple[MysticTask, ...]


class UploadSlot(_Answer):
    """Where one file may be uploaded to.

    Args:
        upload_url: Takes the bytes by PUT, for about two minutes; signed.
        headers: Sent with the bytes exactly as they are.
        asset_url: What the file is called wherever an image URL is wanted, for about a day.
    """

    upload_url: str = Field(min_length=1, repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    asset_url: str = Field(min_length=1, repr=False)


class UploadAnswer(_Answer):
    """Answer of ``POST /v1/ai/uploads/request-url``: a slot a file asked for."""

    files: tuple[UploadSlot, ...] = Field(min_length=1)
