"""Puts the demo's photos into the simulator of 3JMS, and their products into that of the shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from photopipe_dagster.demo.photos import DemoPhoto
from photopipe_dagster.demo.sandbox_client import SandboxClient

WEBHOOK_PATH: Final = "/api/webhooks/3jms/images"


def seed_sandbox(sandbox_client: SandboxClient, photos: Sequence[DemoPhoto]) -> dict[str, str]:
    """A product, unless there is one, and a photo for each; the photos' ids in 3JMS by SKU."""
    ids = {}
    for photo in photos:
        subject = photo.subject
        sandbox_client.add_product(subject.title, subject.sku, subject.category)
        ids[subject.sku] = sandbox_client.add_photo(subject.sku, photo.jpeg)
    return ids


def push_webhooks(
    sandbox_client: SandboxClient, photos: Sequence[DemoPhoto], ids: Mapping[str, str], api_url: str
) -> list[int]:
    """Let 3JMS announce each photo in the theme that suits it; returns the answers' statuses."""
    target = f"{api_url}{WEBHOOK_PATH}"
    return [
        status
        for photo in photos
        for status in sandbox_client.push([ids[photo.subject.sku]], target, photo.subject.theme)
    ]
