"""Compares the ledger with the other truths, and repairs what can be repaired safely."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import dagster as dg

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import estimating
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.reconciliation.findings import Discrepancy
from photopipe_dagster.operations.reconciliation.materializations import MaterializationComparison
from photopipe_dagster.operations.reconciliation.report import NotCompared, Report
from photopipe_dagster.operations.reconciliation.shop import ShopComparison
from photopipe_dagster.operations.reconciliation.store import StoreComparison
from photopipe_dagster.operations.reconciliation.stuck import StuckComparison
from photopipe_dagster.runtime.services import open_target
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.targets.registry import chosen_target

_log = logging.getLogger(__name__)

_STORE = "the object store"
_DAGSTER = "Dagster"
_CLOCK = "the clock"


@dataclass
class Reconciler:
    """One reconciliation.

    Args:
        instance: Dagster's; ``None`` if there is none here.
    """

    settings: Settings
    ledger: Ledger
    store: ObjectStore
    instance: dg.DagsterInstance | None
    _findings: list[Discrepancy] = field(default_factory=list, init=False)
    _not_compared: list[NotCompared] = field(default_factory=list, init=False)

    def run(self, *, repair: bool, verify: bool = False) -> Report:
        """Compare everything that is there.

        Args:
            repair: Whether to repair what can be repaired without paying, publishing twice or
                deleting anything but what is damaged.
            verify: Whether to prove the bytes of every stored picture, which reads all of them.
        """
        self._findings.clear()
        self._not_compared.clear()
        now = self.ledger.database.now()
        settled_before = now - timedelta(seconds=self.settings.reconcile_after_seconds)
        standing: set[str] = set()
        target = chosen_target(self.settings)
        if target is None:
            self._skip("the shop", "none is configured")
        else:
            shop = target.title
            self._compare(shop, lambda: self._with_shop(shop, settled_before, standing))
        self._compare(_STORE, lambda: self._with_store(settled_before, standing, verify))
        if self.instance is None:
            self._skip(_DAGSTER, "DAGSTER_HOME is not set")
        else:
            retired_before = now - timedelta(days=self.settings.job_retention_days)
            shown = MaterializationComparison(
                self.ledger, self.store, self.instance, settled_before, retired_before
            )
            self._compare(_DAGSTER, lambda: self._keep(shown.findings()))
        stuck = StuckComparison(self.ledger, self.store, self.instance, settled_before)
        self._compare(_CLOCK, lambda: self._keep(stuck.findings()))
        findings = [_mended(finding) for finding in self._findings] if repair else self._findings
        too_young = self.ledger.cost_breakdown.published(settled_before, now)
        return Report(tuple(findings), tuple(self._not_compared), too_young)

    def _keep(self, findings: Iterable[Discrepancy]) -> None:
        self._findings.extend(findings)

    def _skip(self, part: str, why: str) -> None:
        self._not_compared.append(NotCompared(part, why, failed=False))

    def _compare(self, part: str, compare: Callable[[], None]) -> None:
        try:
            compare()
        except PhotopipeError as error:
            self._not_compared.append(NotCompared(part, str(error), failed=True))

    def _with_shop(self, shop: str, settled_before: datetime, standing: set[str]) -> None:
        async def look() -> None:
            async with open_target(self.settings) as target:
                found = ShopComparison(self.ledger, target, shop, settled_before, standing)
                async for finding in found.findings():
                    self._findings.append(finding)

        asyncio.run(look())

    def _with_store(self, settled_before: datetime, standing: set[str], verify: bool) -> None:
        with ExitStack() as stack:
            estimator = None
            with suppress(ConfigurationError):
                estimator = stack.enter_context(estimating(self.settings, self.ledger, self.store))
            found = StoreComparison(
                self.ledger, self.store, settled_before, estimator, standing, verify
            )
            self._keep(found.findings())


def _mended(finding: Discrepancy) -> Discrepancy:
    if finding.repair is None:
        return finding
    try:
        return replace(finding, repaired=finding.repair())
    except PhotopipeError as error:
        _log.warning("%s could not be repaired: %s", finding.subject, error)
        return finding
