"""fal's variables."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.fal.models import BACKGROUND, CUTOUT, known
from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class FalSettings(RemoteSettings):
    """How fal is reached, which models it runs for us, and what they take."""

    service = "fal"
    prefix = "fal"
    header = "Authorization: Key {}"
    more_urls = ("rest_url", "platform_url")
    rate_name = "orders_per_minute"

    fal_api_key: SecretStr | None = Field(
        None, description="Key of the account; must be set where fal is a provider."
    )
    fal_api_url: str = Field(
        "https://queue.fal.run", description="fal's queue. Production needs https."
    )
    fal_rest_url: str = Field(
        "https://rest.fal.ai", description="Where photos are uploaded. Production needs https."
    )
    fal_platform_url: str = Field(
        "https://api.fal.ai/v1",
        description="Where lost orders are looked for. Production needs https.",
    )
    fal_cutout_model: str = Field(
        "fal-ai/bria/background/remove",
        description="fal-ai/bria/background/remove or fal-ai/birefnet/v2.",
    )
    fal_background_model: str = Field(
        "fal-ai/flux/schnell", description="fal-ai/flux/schnell or fal-ai/flux/dev."
    )
    fal_orders_per_minute: int = Field(
        120,
        ge=1,
        description="Orders and uploads a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); what is too much waits in fal's queue.",
    )
    fal_poll_seconds: float = Field(
        1.0, gt=0, description="Seconds between two looks at what is being made."
    )
    fal_task_timeout_seconds: float = Field(
        300.0, ge=5, description="Seconds that one try waits for what is being made."
    )
    fal_price_cutout_usd: Decimal = Field(
        Decimal("0.018"),
        ge=0,
        description="What a unit of the cut-out model takes, in USD: a picture by Bria. The units "
        "that an answer says it has charged are booked.",
    )
    fal_price_background_usd: Decimal = Field(
        Decimal("0.003"),
        ge=0,
        description="What a megapixel of the background model takes, in USD, of which a background "
        "has one: 0.003 schnell, 0.025 dev.",
    )
    fal_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 background=0.004."
    )

    def check(self) -> None:
        """See that there is a key, and that the models are known here.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        super().check()
        known("FAL_CUTOUT_MODEL", self.fal_cutout_model, CUTOUT)
        known("FAL_BACKGROUND_MODEL", self.fal_background_model, BACKGROUND)
