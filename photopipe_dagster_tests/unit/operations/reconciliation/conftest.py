"""A shop whose pictures are done, for damaging it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.operations.reconciliation.report import Report
from photopipe_dagster.sandbox.shopify.records import Product
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@dataclass
class Scene:
    """A world with photos that are DONE."""

    world: World
    keys: list[PhotoKey]

    def reconcile(self, *, repair: bool = False, verify: bool = False) -> Report:
        world = self.world
        reconciler = Reconciler(world.settings, world.ledger, world.store, world.instance)
        return reconciler.run(repair=repair, verify=verify)

    def job(self, number: int) -> Job:
        return self.world.ledger.jobs.require(self.keys[number].job_id)

    def product(self, number: int) -> Product:
        return self.world.sandbox.state.shopify.products[self.job(number).product_id or ""]

    def add(self, sku: str) -> PhotoKey:
        """One more photo, DONE."""
        self.world.stock(sku)
        key = self.world.announce(sku, photo_of_a_mug(len(self.keys)))
        self.keys.append(key)
        self.go_on(key)
        return key

    def go_on(self, *keys: PhotoKey) -> None:
        """What was sent out again goes all the way."""
        assert self.world.materialize(keys).success
        for key in keys:
            assert self.world.ledger.jobs.require(key.job_id).status is JobStatus.DONE


@pytest.fixture
def photos() -> int:
    """How many photos are done; a test marks another number with `parametrize`."""
    return 1


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: int) -> Iterator[Scene]:
    with world(tmp_path, monkeypatch, RECONCILE_AFTER_SECONDS="0") as made:
        skus = [f"MUG-{number}" for number in range(photos)]
        made.stock(*skus)
        keys = [made.announce(sku, photo_of_a_mug(number)) for number, sku in enumerate(skus)]
        scene = Scene(made, keys)
        scene.go_on(*keys)
        yield scene


def found(report: Report) -> dict[tuple[DiscrepancyKind, str], Discrepancy]:
    """Findings by what they are and what they are about."""
    return {(finding.kind, finding.subject): finding for finding in report.findings}
