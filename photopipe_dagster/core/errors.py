"""What can go wrong with a photo, drawn once.

    PhotopipeError
    ├── ConfigurationError       the settings cannot work; says which variable to set
    ├── NotFoundError            the ledger has no such job, batch or token
    ├── InvalidRecordError       a record that somebody sent, such as a theme, cannot be taken;
    │                            names the field and what is wrong with it
    ├── ConflictError            somebody else has changed a record since; says who changed what
    ├── InvalidTransitionError   a job was asked to make a step that its status does not allow
    └── JobError                 a photo failed: carries an ErrorCode, a message a person can act
        │                        on, details for the record, and whether trying again can help
        ├── PhotoRejectedError   VALIDATION_ERROR    the input is wrong; permanent
        ├── NetworkError         NETWORK_ERROR       no answer; retryable
        │   └── ServiceDownError     API_ERROR or SHOPIFY_ERROR: not asked, for it is known to be
        │                        down; goes on when it is up
        ├── RateLimitError       RATE_LIMIT_ERROR    asked to slow down; retryable
        ├── StorageError         S3_ERROR            the object store failed; retryable
        ├── ProviderError        API_ERROR, SEGMENTATION_ERROR or BACKGROUND_ERROR; says whether
        │                        the call was billed
        ├── CompositeError       COMPOSITE_ERROR     the picture could not be made; permanent
        ├── TargetError          SHOPIFY_ERROR       the shop refused or failed
        │   └── ProductUnknownError  SHOPIFY_ERROR: no product has the SKU, or whose it is cannot be
        │                        told; permanent
        └── BudgetExceededError  COST_LIMIT_ERROR    the budget is spent; goes on when it is not

Messages and details never hold a secret, a signed URL or raw bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

BUDGET: Final = "budget"
"""What photos wait for that a limit of costs has stopped."""


class ErrorCode(StrEnum):
    """Why a job is FAILED. The names are the specification's."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    API_ERROR = "API_ERROR"
    S3_ERROR = "S3_ERROR"
    SEGMENTATION_ERROR = "SEGMENTATION_ERROR"
    BACKGROUND_ERROR = "BACKGROUND_ERROR"
    COMPOSITE_ERROR = "COMPOSITE_ERROR"
    SHOPIFY_ERROR = "SHOPIFY_ERROR"
    NETWORK_ERROR = "NETWORK_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"
    RATE_LIMIT_ERROR = "RATE_LIMIT_ERROR"
    COST_LIMIT_ERROR = "COST_LIMIT_ERROR"


class Billed(StrEnum):
    """Whether a failed call to a provider cost money."""

    NO = "no"
    """The request was never sent, or the provider refused it."""
    YES = "yes"
    """The provider did the work; what it made was lost or is unusable."""
    UNKNOWN = "unknown"
    """The request may have arrived; nobody answered."""


REFUSALS: Final = frozenset({401, 402, 403, 404, 423})
"""HTTP statuses by which a service refuses the key, the account or the address."""


class PhotopipeError(Exception):
    """Base of everything that Photopipe raises on purpose."""


class ConfigurationError(PhotopipeError):
    """The settings cannot work. The message names the variable and what to set it to."""


class NotFoundError(PhotopipeError):
    """The ledger has none of that name; `photopipe` and the command list what it has."""

    def __init__(self, kind: str, name: object, command: str) -> None:
        super().__init__(f"There is no {kind} {name}; `photopipe {command}` lists them.")


class InvalidRecordError(PhotopipeError):
    """A record that somebody sent cannot be taken. The message names the field and why."""


class ConflictError(PhotopipeError):
    """Somebody else has changed a record since. The message says who changed what."""


class InvalidTransitionError(PhotopipeError):
    """A job was asked to make a step that its status does not allow."""


class JobError(PhotopipeError):
    """A photo failed.

    Args:
        message: What happened and what to do, for a person.
        details: Facts for the record; JSON-serialisable, free of secrets and signed URLs.
        code: The error code of the job; the class's default where not given.
        retryable: Whether trying again later can help; the class's default where not given.
        service_down: Whether the service has said itself that the next photo would fail the same
        way.
        refuses_all: Whether it refuses every photo until a person does something about it.
    """

    code: ErrorCode = ErrorCode.UNKNOWN_ERROR
    retryable: bool = False
    waiting_for: str | None = None
    """What the photo waits for, the budget or a service: it goes on when that is there, and uses
    up no retries."""
    blamed_service: str | None = None
    """The service that is down, if the failure says so: others would fail there like this one."""

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        code: ErrorCode | None = None,
        retryable: bool | None = None,
        service_down: bool = False,
        refuses_all: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.service_down = service_down or refuses_all
        self.refuses_all = refuses_all
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

    @property
    def is_refusal(self) -> bool:
        """Whether the service refuses the key, the account or the address: a person has to act."""
        refused = not self.retryable and self.details.get("status") in REFUSALS
        return self.refuses_all or refused

    def name_job(self, job_id: str) -> None:
        """Put the job's id where the message says `photopipe retry JOB`, for people to copy."""
        self.message = self.message.replace("photopipe retry JOB", f"photopipe retry {job_id}")
        self.args = (self.message, *self.args[1:])


class PhotoRejectedError(JobError):
    """The input is wrong: trying again cannot help, a person has to look."""

    code = ErrorCode.VALIDATION_ERROR


class NetworkError(JobError):
    """Nobody answered, after all retries.

    Args:
        sent: Whether the request may have reached the service, so that it may have acted on it.
    """

    code = ErrorCode.NETWORK_ERROR
    retryable = True

    def __init__(
        self, message: str, *, sent: bool = True, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.sent = sent


class ServiceDownError(NetworkError):
    """A service is known to be down, so that it was not asked.

    Args:
        service: Its name among the breakers.
        code: The service's own error code.
    """

    def __init__(self, message: str, *, service: str, code: ErrorCode) -> None:
        super().__init__(message, sent=False)
        self.code = code
        self.waiting_for = service


class RateLimitError(JobError):
    """A service asked to slow down, after all retries."""

    code = ErrorCode.RATE_LIMIT_ERROR
    retryable = True


class StorageError(JobError):
    """The object store failed, after all retries. Never means that an object is absent."""

    code = ErrorCode.S3_ERROR
    retryable = True


class ProviderError(JobError):
    """An AI provider refused or failed.

    Args:
        billed: Whether the call cost money; the ledger records it so.
    """

    code = ErrorCode.API_ERROR

    def __init__(
        self,
        message: str,
        *,
        billed: Billed = Billed.NO,
        details: Mapping[str, Any] | None = None,
        code: ErrorCode | None = None,
        retryable: bool | None = None,
        service_down: bool = False,
    ) -> None:
        super().__init__(
            message, details=details, code=code, retryable=retryable, service_down=service_down
        )
        self.billed = billed


class CompositeError(JobError):
    """The composite could not be made, or is not good enough to publish."""

    code = ErrorCode.COMPOSITE_ERROR


class TargetError(JobError):
    """The shop refused the product, the file or the media."""

    code = ErrorCode.SHOPIFY_ERROR


class ProductUnknownError(TargetError):
    """The shop has answered: no product has the SKU, or whose it is cannot be told."""


class BudgetExceededError(JobError):
    """The budget is spent. Nothing was paid for this photo; it goes on when there is budget."""

    code = ErrorCode.COST_LIMIT_ERROR
    retryable = True
    waiting_for = BUDGET
