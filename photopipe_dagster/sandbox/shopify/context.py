"""What a resolver knows of the request that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from graphql import GraphQLError

from photopipe_dagster.sandbox.faults import SCOPES, Fault
from photopipe_dagster.sandbox.shopify.records import MediaFile
from photopipe_dagster.sandbox.shopify.store import ShopifyStore


@dataclass(slots=True)
class RequestContext:
    """One GraphQL request.

    Args:
        store: The shop.
        base: Base URL of the simulator, without a slash at the end.
        version: API version that runs.
        fault: What this request has to act out.
        seen: gids of the files whose status it has looked at.
        warnings: What the search did not understand.
    """

    store: ShopifyStore
    base: str
    version: str
    fault: Fault | None = None
    seen: set[str] = field(default_factory=set)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def image_url(self, file: MediaFile) -> str:
        """Where a published picture is."""
        version = int(file.updated_at.timestamp())
        return f"{self.base}/cdn/s/files/1/0001/files/{quote(file.filename)}?v={version}"

    def status(self, file: MediaFile) -> str:
        """Where a file stands; counts as a look at it."""
        self.seen.add(file.id)
        return self.store.status(file)


def check_scope(context: RequestContext, field_name: str) -> None:
    """Refuse a root field that the app may not use.

    Raises:
        GraphQLError: With the code ACCESS_DENIED.
    """
    needed = SCOPES.get(field_name)
    if needed and not context.store.scopes.intersection(needed):
        raise GraphQLError(
            f"Access denied for {field_name} field. Required access: one of {', '.join(needed)}.",
            extensions={"code": "ACCESS_DENIED"},
        )
