"""The media of a product and their order: adding a picture, taking one away, replacing one.

The order is the merchant's: he may move or remove any picture at any time, ours too. So each step
is decided by a look at how the media stand now, never by what an earlier step should have left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from photopipe_dagster.core.errors import JobError, TargetError
from photopipe_dagster.shopify import files
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.deadline import Deadline
from photopipe_dagster.shopify.errors import user_errors
from photopipe_dagster.shopify.models import Model, Page, ProductMedia, UserError, read

MAX_MEDIA_PAGES: Final = 10
"""Pages of 50; a product has at most 250 media."""

MAX_LOOKS: Final = 8
"""Replacing takes three looks; more if somebody else moves media of the product meanwhile."""

_NOT_YET: Final = frozenset({"NON_READY_STATE", "FILE_LOCKED"})
_GONE: Final = frozenset({"FILE_DOES_NOT_EXIST"})
_FULL: Final = frozenset({"PRODUCT_MEDIA_LIMIT_EXCEEDED"})
_NOT_THERE: Final = frozenset({"MEDIA_DOES_NOT_EXIST", "MEDIA_DOES_NOT_EXIST_ON_PRODUCT"})


class _Job(Model):
    id: str
    done: bool = False


class _Reordered(Model):
    job: _Job | None = None
    media_user_errors: tuple[UserError, ...] = ()


async def media_of(client: ShopifyClient, product_id: str) -> tuple[ProductMedia, ...]:
    """All media of a product, in their order.

    Raises:
        TargetError: There is no such product, or Shopify refused.
        NetworkError, RateLimitError: Shopify did not answer now.
    """
    media = await media_if_any(client, product_id)
    if media is None:
        raise TargetError(
            f"The product {product_id} is gone from Shopify: `photopipe retry JOB` looks for "
            "the SKU again.",
            details={"product": product_id},
        )
    return media


async def media_if_any(client: ShopifyClient, product_id: str) -> tuple[ProductMedia, ...] | None:
    """All media of a product, in their order; ``None`` if there is no such product (any more)."""
    media: list[ProductMedia] = []
    after: str | None = None
    for _ in range(MAX_MEDIA_PAGES):
        variables = {"id": product_id, "after": after}
        product = (await client.execute("product_media", variables, safe=True)).get("product")
        if product is None:
            return None
        page = read(Page[ProductMedia], product.get("media"), "a product's media")
        media += page.nodes
        if not page.page_info.has_next_page:
            break
        after = page.page_info.end_cursor
    return tuple(media)


async def has(client: ShopifyClient, product_id: str, media_id: str) -> bool:
    """Whether a picture stands on a product."""
    return any(media.id == media_id for media in await media_of(client, product_id))


async def attach(client: ShopifyClient, product_id: str, media_id: str, deadline: Deadline) -> None:
    """Add a picture at the end of a product's media.

    Raises:
        TargetError: Refused, or not possible in time.
        NetworkError: Nobody answered; it may have worked, so look before trying again.
    """
    while errors := await files.change_references(client, media_id, add=product_id):
        if not {error.code for error in errors} <= _NOT_YET:
            raise user_errors(f"add {media_id} to {product_id}", errors)
        await deadline.wait(f"Shopify does not let the file {media_id} be added to the product")


async def detach(client: ShopifyClient, product_id: str, media_id: str, deadline: Deadline) -> None:
    """Take a picture away from a product where it was seen; its file stays.

    Raises:
        TargetError: Refused, or not possible in time.
        NetworkError: Nobody answered; it may have worked, so look before trying again.
    """
    while errors := await files.change_references(client, media_id, remove=product_id):
        codes = {error.code for error in errors}
        if codes <= _GONE:
            return
        if not codes <= _NOT_YET:
            raise user_errors(f"take {media_id} from {product_id}", errors)
        await deadline.wait(f"Shopify does not let the file {media_id} be taken off the product")


async def take_place(
    client: ShopifyClient,
    product_id: str,
    media_id: str,
    others: Collection[str],
    *,
    replacing: Callable[[str | None], Awaitable[None]],
    deadline: Deadline,
) -> None:
    """Put a picture where others stand, and take those away.

    Look, do the one step that is missing, look again: whatever an earlier attempt did, or somebody
    else does meanwhile, the picture ends where the first of the others stood. If none of them is
    on the product (any more), it is put at the end, or stays where it is. On a full product one of
    the others goes before the picture comes, and comes back if the picture cannot.

    Args:
        others: Ids, the one to name as replaced first.
        replacing: Is told which of the others is about to be taken away, or ``None`` when the
            picture is about to be added and takes nobody's place.

    Raises:
        TargetError: Refused, not possible in time, or the order never came to rest.
        NetworkError, RateLimitError: Shopify did not answer now; the next attempt goes on.
    """
    for _ in range(MAX_LOOKS):
        order = [media.id for media in await media_of(client, product_id)]
        leaving = [each for each in others if each in order]
        if not leaving:
            if media_id not in order:
                await replacing(None)
                await attach(client, product_id, media_id, deadline)
            return
        kept = [each for each in order if each != media_id]
        place = min(kept.index(each) for each in leaving)
        if media_id not in order:
            try:
                await attach(client, product_id, media_id, deadline)
            except TargetError as error:
                if not _FULL.issuperset(error.details.get("codes") or ("",)):
                    raise
                await replacing(leaving[0])
                last = max(leaving, key=kept.index)
                await _change(client, product_id, last, media_id, place, deadline)
            continue
        if order.index(media_id) != place:
            await _move(client, product_id, media_id, place, deadline)
            continue
        await replacing(leaving[0])
        # The one to name goes last, so that an attempt that goes on names it again.
        for each in reversed(leaving):
            await detach(client, product_id, each, deadline)
        return
    raise TargetError(
        f"The media of {product_id} are being moved by somebody else: {media_id} did not get its "
        "place. The next attempt goes on.",
        retryable=True,
    )


async def _change(
    client: ShopifyClient,
    product_id: str,
    old: str,
    new: str,
    place: int,
    deadline: Deadline,
) -> None:
    """Take a picture off a full product and put another one in its place, or the same one back."""
    await detach(client, product_id, old, deadline)
    try:
        await attach(client, product_id, new, deadline)
    except JobError:
        await attach(client, product_id, old, deadline)
        await _move(client, product_id, old, place, deadline)
        raise
    await _move(client, product_id, new, place, deadline)


async def _move(
    client: ShopifyClient, product_id: str, media_id: str, place: int, deadline: Deadline
) -> None:
    """Move a picture to a place, counted from 0 without the picture itself, and wait for it."""
    moves = [{"id": media_id, "newPosition": str(place)}]
    # The same move twice leads to the same order; and the caller looks.
    answer = await client.execute("reorder_media", {"id": product_id, "moves": moves}, safe=True)
    moved = read(_Reordered, answer["productReorderMedia"], "the new order")
    if moved.media_user_errors:
        if {error.code for error in moved.media_user_errors} <= _NOT_THERE:
            await deadline.wait(f"{media_id} cannot be moved on {product_id} yet")
            return
        raise user_errors(f"move {media_id} on {product_id}", moved.media_user_errors)
    job = moved.job
    while job is not None and not job.done:
        await deadline.wait(f"Shopify is still reordering the media of {product_id}")
        found = (await client.execute("job_done", {"id": job.id}, safe=True)).get("job")
        job = None if found is None else read(_Job, found, "the reordering")
