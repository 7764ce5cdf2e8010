"""Along the providers of a route: the next one is asked where one cannot make a picture.

The next is taken where a provider is down, has no credit or refuses our key, refuses the photo, or
its picture fails the gate; never while something of this one is still to be fetched, and never
above MAX_COST_PER_PHOTO_USD.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from photopipe_dagster.core.errors import (
    ErrorCode,
    JobError,
    PhotoRejectedError,
    ProviderError,
    ServiceDownError,
)
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, exceeds_limit
from photopipe_dagster.providers.base import StillRunningError

_ABOUT_THE_PHOTO: Final = (ErrorCode.SEGMENTATION_ERROR, ErrorCode.BACKGROUND_ERROR)


class Named(Protocol):
    """A provider of a route."""

    name: str


P = TypeVar("P", bound=Named)
Made = TypeVar("Made")


async def along(
    photo: PhotoContext,
    stage: Stage,
    route: Sequence[P],
    order_of: Callable[[P], Order],
    attempt: Callable[[P, Order], Awaitable[Made]],
    objection: Callable[[Made], Awaitable[str | None]],
) -> Made:
    """Have a picture made by the provider that it has come to, or by one after it.

    The caller holds the lease on the picture.

    Args:
        route: At least one provider.
        order_of: What is bought of a provider.
        attempt: Has it made.
        objection: Why what was made should be made by the next one; not asked of the last.

    Raises:
        JobError: As the last provider that was asked says.
    """
    routes, place = photo.services.ledger.routes, photo.key.object_key(stage, photo.job.variant)
    hops = await asyncio.to_thread(routes.of_place, place) if len(route) > 1 else []
    names = [provider.name for provider in route]
    at = names.index(hops[-1].next) if hops and hops[-1].next in names else 0
    while True:
        provider = route[at]
        following = route[at + 1] if at + 1 < len(route) else None
        order = order_of(provider)
        failed: JobError | None = None
        made: Made | None = None
        try:
            made = await attempt(provider, order)
            reason = None if following is None else await objection(made)
        except JobError as error:
            failed, reason = error, why_next(error)
        if (
            reason is not None
            and following is not None
            and await exceeds_limit(photo, order_of(following)) is None
            and await asyncio.to_thread(
                routes.leave,
                place,
                job_id=photo.job.id,
                stage=stage,
                provider=provider.name,
                purchase_key=order.purchase_key,
                next_provider=following.name,
                reason=reason,
                error=failed,
            )
        ):
            at += 1
        elif failed is not None:
            raise failed
        else:
            return made  # type: ignore[return-value]


def why_next(error: JobError) -> str | None:
    """Why another provider may make what this one did not; ``None``: it is asked again itself."""
    match error:
        case StillRunningError():
            return None
        case ServiceDownError() | PhotoRejectedError():
            return error.message
        case _ if error.blamed_service is not None or error.is_refusal:
            return error.message
        case ProviderError() if not error.retryable and error.code in _ABOUT_THE_PHOTO:
            return error.message
    return None
