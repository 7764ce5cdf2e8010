"""What a sandbox is told at its start: keys, prices, sizes and the people who paint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx
from PIL import Image

from photopipe_dagster.sandbox.pictures import border_cut_out, gradient

CutOut = Callable[[bytes], bytes]
"""The bytes of a JPEG or PNG to an RGBA PNG of the same displayed size; called from threads."""

Paint = Callable[[str, int, int], Image.Image]
"""Prompt, width and height in pixels to an RGB picture of that size; called from threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Settings of a sandbox. The keys and secrets are made up and open no door.

    Args:
        threejms_key: Key that the simulator of 3JMS expects.
        threejms_auth_scheme: Word before that key in the Authorization header.
        webhook_secret: Signs what the simulator of 3JMS pushes.
        freepik_key: Key that the simulator of Freepik expects.
        freepik_key_headers: Headers in which it is accepted.
        freepik_requests_per_minute: 429 above it; ``None`` for no limit.
        price_cutout_usd: Charged for each background removal that succeeds.
        price_mystic_usd: Charged for each Mystic task, by resolution.
        cutout_url_seconds: How long the four URLs of a cut-out live (five minutes, documented).
        mystic_url_seconds: How long a signed URL of a Mystic picture lives.
        mystic_resigns: Whether asking for a finished task again gives a fresh signature; nobody
            could tell, so a client has to live with both.
        mystic_polls: How many times a task has to be asked for until it is finished.
        mystic_scale: Sides of Mystic's pictures relative to 1024, 2048 and 4096 pixels. 1 gives
            the sizes that the resolutions' names suggest; less keeps tests quick.
        shopify_token: Static token of a custom app.
        shopify_client_id: For the client credentials grant.
        shopify_client_secret: For the client credentials grant.
        shopify_token_seconds: How long a granted token lives.
        shopify_scopes: What the app was granted.
        shopify_bucket_points: Size of the leaky bucket.
        shopify_restore_points: Points that flow back in a second.
        shopify_media_polls: In how many requests media is seen unfinished before it is.
        latencies: Seconds, by operation; see ``faults.toml``.
        cut_out: Cuts products out.
        paint: Paints backgrounds.
        transport: Replaces the network when the sandbox downloads pictures.
        shop_folder: Keeps the shop from start to start; in memory alone where not given.
        seed: Seed of the dice that throw faults with a probability.
    """

    threejms_key: str = "sandbox-3jms-key"
    threejms_auth_scheme: str = "Token"
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105  (opens nothing)
    freepik_key: str = "sandbox-freepik-key"
    freepik_key_headers: tuple[str, ...] = ("x-magnific-api-key",)
    freepik_requests_per_minute: int | None = None
    price_cutout_usd: Decimal = Decimal("0.02")
    price_mystic_usd: Mapping[str, Decimal] = field(
        default_factory=lambda: {
            "1k": Decimal("0.05"),
            "2k": Decimal("0.05"),
            "4k": Decimal("0.10"),
        }
    )
    cutout_url_seconds: float = 300.0
    mystic_url_seconds: float = 3600.0
    mystic_resigns: bool = True
    mystic_polls: int = 2
    mystic_scale: float = 0.25
    shopify_token: str = "sandbox-shopify-token"  # noqa: S105
    shopify_client_id: str = "sandbox-client-id"
    shopify_client_secret: str = "sandbox-client-secret"  # noqa: S105
    shopify_token_seconds: int = 86399
    shopify_scopes: tuple[str, ...] = (
        "read_products",
        "write_products",
        "read_files",
        "write_files",
    )
    shopify_bucket_points: float = 2000.0
    shopify_restore_points: float = 100.0
    shopify_media_polls: int = 2
    latencies: Mapping[str, float] = field(default_factory=dict)
    cut_out: CutOut = border_cut_out
    paint: Paint = gradient
    transport: httpx.AsyncBaseTransport | None = None
    shop_folder: Path | None = None
    seed: int = 0
