"""Figures for Prometheus, read from the ledger at each scrape.

Two names are the specification's, and both are counters, which never fall: `jobs_total` is how
often jobs came to a status, `job_cost_usd` what was paid, without what is only reserved. How many
jobs have a status now is `photopipe_jobs`, whose sum over all statuses is all jobs.

Both have the ledger's own statuses: the specification's eight, and `cancelled` and `rejected`,
which are not in `failed`. So anyone who alerts on `failed` hears of failures alone.

Nothing is added up again: counts are kept by the ledger, sums of money by its budget, and of steps
only those since the last scrape are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from photopipe_dagster.api.errors import GUARDED
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.steps import BUCKETS
from photopipe_dagster.ledger.stats.job_counts import Count

_COST: Final = "job_cost_usd"

_GATES = [f"{bound:g}" for bound in BUCKETS]


class LedgerCollector(Collector):
    """What the ledger says, as metrics."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Metric]:
        """All of it, as it is now."""
        yield from self._jobs()
        yield from self._queue()
        yield from self._steps()
        yield from self._money()

    def _jobs(self) -> Iterable[Metric]:
        counts = self._ledger.counts.by_status_and_theme()
        ever = CounterMetricFamily(
            "jobs_total", "How often jobs came to a status.", labels=["status"]
        )
        standing = GaugeMetricFamily("photopipe_jobs", "Jobs by status.", labels=["status"])
        for status, arrived in self._ledger.arrivals.by_status().items():
            ever.add_metric([status.lower()], arrived)
        for status, count in self._ledger.counts.by_status().items():
            standing.add_metric([status.lower()], count.jobs)
        yield from (ever, standing)
        by_theme: dict[str, Count] = {}
        for (_, theme), count in counts.items():
            by_theme[theme] = by_theme.get(theme, Count()) + count
        paid = Metric(_COST, "USD that were paid for all jobs.", "counter")
        paid.add_sample(_COST, {}, float(self._ledger.budget.ever_paid()))
        yield paid
        retries = sum(count.retries for count in by_theme.values())
        yield GaugeMetricFamily(
            "photopipe_job_retries", "How often jobs were tried again.", value=retries
        )
        jobs = GaugeMetricFamily("photopipe_theme_jobs", "Jobs by theme.", labels=["theme"])
        costs = GaugeMetricFamily(
            "photopipe_theme_cost_usd", "USD that jobs have cost, by theme.", labels=["theme"]
        )
        for theme, count in by_theme.items():
            jobs.add_metric([theme], count.jobs)
            costs.add_metric([theme], float(count.cost))
        yield from (jobs, costs)

    def _queue(self) -> Iterable[Metric]:
        since = self._ledger.dispatches.waiting_since()
        age = 0.0 if since is None else (self._ledger.database.now() - since).total_seconds()
        yield GaugeMetricFamily(
            "photopipe_queue_age_seconds",
            "How long the photo waits that has waited longest to be picked up.",
            value=max(0.0, age),
        )
        yield GaugeMetricFamily(
            "photopipe_reviews_waiting",
            "Pictures that wait for a person.",
            value=self._ledger.reviews.count(),
        )
        down = GaugeMetricFamily(
            "photopipe_service_down", "Services that are not called: 1.", labels=["service"]
        )
        for breaker in self._ledger.breakers.down():
            down.add_metric([breaker.name], 1)
        yield down

    def _steps(self) -> Iterable[Metric]:
        made, failed = self._ledger.steps.totals()
        durations = HistogramMetricFamily(
            "photopipe_stage_duration_seconds",
            "How long stages took that made something, since this process started.",
            labels=["stage"],
        )
        for stage, each in made.items():
            buckets = [
                *zip(_GATES, (float(count) for count in each.within), strict=True),
                ("+Inf", float(each.count)),
            ]
            durations.add_metric([stage.value], buckets, each.seconds)
        errors = CounterMetricFamily(
            "photopipe_stage_errors",
            "Stages that failed, since this process started.",
            labels=["stage", "code"],
        )
        for (stage, code), count in failed.items():
            errors.add_metric([stage.value, code.value], count)
        yield from (durations, errors)

    def _money(self) -> Iterable[Metric]:
        spent = GaugeMetricFamily(
            "photopipe_budget_spent_usd", "USD spent in this UTC period.", labels=["period"]
        )
        limit = GaugeMetricFamily(
            "photopipe_budget_limit_usd", "USD that may be spent in it.", labels=["period"]
        )
        for period in (self._ledger.budget.day(), self._ledger.budget.month()):
            spent.add_metric([period.span], float(period.spent))
            if period.limit is not None:
                limit.add_metric([period.span], float(period.limit))
        yield from (spent, limit)


def registry(ledger: Ledger) -> CollectorRegistry:
    """All that `/metrics` serves: the ledger's figures and those of this process."""
    metrics = CollectorRegistry(auto_describe=False)
    metrics.register(LedgerCollector(ledger))
    ProcessCollector(registry=metrics)
    return metrics


router = APIRouter(tags=["health"], dependencies=[Depends(require(Scope.READ))], responses=GUARDED)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": 'jobs_total{status="done"} 1450.0'}}}},
)
def metrics(request: Request) -> Response:
    """Show figures in Prometheus's text format."""
    written = generate_latest(request.app.state.metrics)
    # The library has every counter end like this; the specification does not.
    written = written.replace(f" {_COST}_total ".encode(), f" {_COST} ".encode())
    return Response(
        written,
        headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
    )
