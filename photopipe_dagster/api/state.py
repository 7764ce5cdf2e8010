"""What the routes of the API work with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from photopipe_dagster.api.open_cutouts import OpenCutouts
from photopipe_dagster.api.rate_limit import RateLimiter
from photopipe_dagster.api.sessions import Access
from photopipe_dagster.api.thumbnails import Thumbnails
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.themes.registry import ThemeRegistry


@dataclass(frozen=True, slots=True)
class ApiState:
    """The parts of one application; its routes are given them as `State`.

    Args:
        started: When the application was made, seconds of the monotonic clock.
    """

    settings: Settings
    ledger: Ledger
    store: ObjectStore
    intake: Intake
    lineage: Lineage
    access: Access
    rates: RateLimiter
    thumbnails: Thumbnails
    cutouts: OpenCutouts
    started: float = field(default_factory=time.monotonic)

    @property
    def themes(self) -> ThemeRegistry:
        """All themes as they are now: ask once a request."""
        return self.ledger.themes.registry(self.settings)


def api_state(request: Request) -> ApiState:
    """The parts of the application that a request came to."""
    state = request.app.state.photopipe
    if not isinstance(state, ApiState):
        raise TypeError("the application was not made by create_app")
    return state


async def _state(request: Request) -> ApiState:
    return api_state(request)


State = Annotated[ApiState, Depends(_state)]
"""Annotation of a route's parameter that receives the `ApiState`."""
