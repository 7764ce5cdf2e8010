"""The ledger: one database, one face for each of its concerns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.breakers import Breakers
from photopipe_dagster.ledger.calibrations import Calibrations
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.deliveries import Deliveries
from photopipe_dagster.ledger.idempotency import IdempotencyKeys
from photopipe_dagster.ledger.jobs.batches import Batches
from photopipe_dagster.ledger.jobs.decisions import Decisions
from photopipe_dagster.ledger.jobs.dispatches import Dispatches
from photopipe_dagster.ledger.jobs.intake import JobIntake
from photopipe_dagster.ledger.jobs.leases import Leases
from photopipe_dagster.ledger.jobs.queries import JobQueries
from photopipe_dagster.ledger.jobs.reviews import Reviews
from photopipe_dagster.ledger.jobs.steps import Steps
from photopipe_dagster.ledger.jobs.transitions import Transitions
from photopipe_dagster.ledger.money.budget import NO_LIMITS, Budget, Limits
from photopipe_dagster.ledger.money.cost_breakdown import CostBreakdown
from photopipe_dagster.ledger.money.spending import Spending
from photopipe_dagster.ledger.product_sizes import ProductSizes
from photopipe_dagster.ledger.repairs import Repairs
from photopipe_dagster.ledger.routes import Routes
from photopipe_dagster.ledger.scenes import Scenes
from photopipe_dagster.ledger.source_files import SourceFiles
from photopipe_dagster.ledger.stats.arrivals import Arrivals
from photopipe_dagster.ledger.stats.dashboard import Dashboard
from photopipe_dagster.ledger.stats.job_counts import Counts
from photopipe_dagster.ledger.stats.scans import Scans
from photopipe_dagster.ledger.themes import Themes
from photopipe_dagster.ledger.tokens import Tokens
from photopipe_dagster.ledger.watermarks import Watermarks


class Ledger:
    """Jobs, leases, spending and its budget, the shop's products and media, and watermarks.

    Thread-safe; calls block for milliseconds, so asynchronous code calls them in a thread.
    """

    def __init__(
        self,
        url: str,
        *,
        max_retries: int = 3,
        retry_delay_seconds: int = 60,
        lease_seconds: float = 120,
        breaker_failures: int = 5,
        breaker_seconds: float = 60,
        limits: Limits = NO_LIMITS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.database = Database(url, clock)
        self.counts = Counts(self.database)
        self.arrivals = Arrivals(self.database)
        self.deliveries = Deliveries(self.database)
        self.idempotency = IdempotencyKeys(self.database)
        self.breakers = Breakers(self.database, breaker_failures, breaker_seconds)
        self.jobs = JobQueries(self.database)
        self.intake = JobIntake(self.database, self.jobs)
        self.transitions = Transitions(
            self.database, max_retries, retry_delay_seconds, self.breakers
        )
        self.dispatches = Dispatches(self.database)
        self.reviews = Reviews(self.database)
        self.decisions = Decisions(self.database)
        self.repairs = Repairs(self.database)
        self.calibrations = Calibrations(self.database)
        self.steps = Steps(self.database)
        self.batches = Batches(self.database)
        self.leases = Leases(self.database, lease_seconds)
        self.budget = Budget(self.database, limits)
        self.spending = Spending(self.database, self.budget.refusal)
        self.routes = Routes(self.database, self.breakers)
        self.cost_breakdown = CostBreakdown(self.database)
        self.dashboard = Dashboard(self.database)
        self.scans = Scans(self.database)
        self.catalogue = Catalogue(self.database)
        self.scenes = Scenes(self.database)
        self.product_sizes = ProductSizes(self.database)
        self.watermarks = Watermarks(self.database)
        self.themes = Themes(self.database)
        self.tokens = Tokens(self.database)
        self.source_files = SourceFiles(self.database)

    @classmethod
    def open(cls, settings: Settings) -> Ledger:
        """Open the ledger that the settings name, and bring it to this version's schema."""
        ledger = cls(
            settings.ledger_url,
            max_retries=settings.job_max_retries,
            retry_delay_seconds=settings.job_retry_delay_seconds,
            lease_seconds=settings.job_lease_seconds,
            breaker_failures=settings.breaker_failures,
            breaker_seconds=settings.breaker_seconds,
            limits=Limits(settings.cost_limit_daily_usd, settings.cost_limit_monthly_usd),
        )
        ledger.database.migrate()
        return ledger

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()
