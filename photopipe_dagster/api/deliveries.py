"""Events that were sent to other programs, or could not be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict

from photopipe_dagster.api.errors import GUARDED, ApiError, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.jobs import CamelModel, Limit, Offset
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.deliveries import Delivery, DeliveryState

_ADMIN = Depends(require(Scope.ADMIN))

router = APIRouter(
    prefix="/api/deliveries",
    tags=["events"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
)


class DeliveryView(CamelModel):
    """An event on its way to an endpoint.

    `endpoint` stands for its address, which may be secret: the first digits of the address's
    SHA-256. `dead` is what no try could deliver; `says` tells what came of the last one.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["DeliveryView"]})

    id: int
    message_id: str
    endpoint: str
    type: str
    job_id: str | None
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    status: int | None
    says: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """From the ledger's."""
        pending = delivery.state is DeliveryState.PENDING
        return cls(
            id=delivery.id,
            message_id=delivery.message_id,
            endpoint=delivery.endpoint,
            type=delivery.kind,
            job_id=delivery.job_id,
            state=delivery.state,
            attempts=delivery.attempts,
            due_at=delivery.due_at if pending else None,
            status=delivery.status,
            says=delivery.says,
            created_at=delivery.created_at,
            updated_at=delivery.updated_at,
        )


class DeliveryList(CamelModel):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    limit: int
    offset: int


@router.get("")
def list_deliveries(
    state: State,
    which: Annotated[DeliveryState | None, Query(alias="state")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> DeliveryList:
    """List deliveries, newest first; `state=dead` are the dead letters."""
    found = state.ledger.deliveries.find(which, limit=limit, offset=offset)
    views = [DeliveryView.of(each) for each in found]
    return DeliveryList(deliveries=views, limit=limit, offset=offset)


@router.post("/test", status_code=202, dependencies=[_ADMIN], responses=documented(409))
def send_test(state: State) -> None:
    """Send an event of the type `test` to every endpoint, within seconds."""
    if state.settings.event_webhook_urls is None:
        raise ApiError(409, "no_endpoint", "EVENT_WEBHOOK_URLS names no endpoint to send to.")
    state.ledger.deliveries.send_test()


@router.post("/{delivery_id}/retry", dependencies=[_ADMIN], responses=documented(404, 409))
def retry_delivery(
    state: State, delivery_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> DeliveryView:
    """Send a dead letter again."""
    return DeliveryView.of(state.ledger.deliveries.retry(delivery_id))
