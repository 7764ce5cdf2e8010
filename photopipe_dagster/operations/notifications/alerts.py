"""What people should know now, read from the ledger and from Dagster's ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dagster import DagsterInstance

from photopipe_dagster.core.error_guide import GUIDE
from photopipe_dagster.core.errors import BUDGET
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Breaker
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.operations.notifications.message import Level, Message
from photopipe_dagster.runtime.advice import Reader, explain_service, for_reader, service_title

FAILURES: Final = "failures"
REVIEWS: Final = "reviews"
QUEUE_AGE: Final = "queue_age"
WAITING_FOR_BUDGET: Final = "waiting_budget"

EXAMPLES: Final = 3
"""Photos that a digest names for each error code, and pictures to review."""

TICKS: Final = 3
"""Failed ticks in a row after which a sensor is told of."""

STALE_AFTER: Final = timedelta(minutes=10)
"""A sensor that is on and has not ticked for so long is told of."""

_DIGESTED: Final = "failures_digested"
_SUMMARIZED: Final = "summarized"

_MORNING: Final = 6
"""Hour (UTC) from which the day before is summarized."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Failures that have not been told yet.

    Args:
        until: Failures up to this moment are in it.
    """

    message: Message
    until: datetime


def failures(ledger: Ledger, every: timedelta, pages: str = "") -> Digest | None:
    """A digest of the photos that failed for good since the last one; ``None`` if it is not time.

    Args:
        every: Between two digests.
        pages: Address of Photopipe's pages; empty: nothing is linked.
    """
    now = ledger.database.now()
    marked = ledger.watermarks.get(_DIGESTED)
    since = datetime.fromisoformat(marked) if marked else now - timedelta(days=1)
    if marked and now - since < every:
        return None
    counts = ledger.jobs.failures(since, now)
    if not counts:
        return None
    total = sum(counts.values())
    lines = []
    for code, count in counts.items():
        lines.append(f"{count} × {code}: {GUIDE[code].title}")
        lines += [
            f"  {_named(job, pages)}: {for_reader(job.error_message or '', job.id, Reader.PAGE)}"
            for job in ledger.jobs.failed_with(code, since, now, limit=EXAMPLES)
        ]
    lines.append(
        "Once the cause is fixed, retry all on the page, or by `photopipe retry --failed`."
    )
    photos = "1 photo" if total == 1 else f"{total} photos"
    url = f"{pages}/jobs?status=FAILED" if pages else ""
    return Digest(Message(FAILURES, f"{photos} failed", "\n".join(lines), url=url), now)


def digested(ledger: Ledger, digest: Digest) -> None:
    """The digest was told: the next one begins where it ended."""
    ledger.watermarks.set(_DIGESTED, digest.until.isoformat())


def costs(ledger: Ledger, settings: Settings) -> Message | None:
    """The highest threshold that the month's spending has reached; ``None`` if none."""
    spent = ledger.budget.month().spent
    for level, threshold in (
        (Level.ALERT, settings.cost_alert_threshold_usd),
        (Level.WARNING, settings.cost_warning_threshold_usd),
    ):
        if spent > 0 and spent >= threshold:
            return Message(
                f"cost_{level}",
                "The month's costs",
                f"{usd(spent)} USD have been spent this month (UTC), which is past "
                f"COST_{level.upper()}_THRESHOLD_USD={threshold:f}. `photopipe costs` shows for "
                "what; COST_LIMIT_DAILY_USD and COST_LIMIT_MONTHLY_USD stop it.",
                level,
                f"{settings.base_url}/",
            )
    return None


def reviews(ledger: Ledger, pages: str) -> Message | None:
    """That pictures wait for a person; ``None`` if none does.

    Args:
        pages: Address of Photopipe's pages.
    """
    count = ledger.reviews.count()
    oldest = ledger.reviews.waiting(limit=EXAMPLES)
    if not count or not oldest:
        return None
    lines = [f"The oldest has waited since {oldest[0].updated_at:%Y-%m-%d %H:%M} UTC."]
    lines += [
        f"  {job.key.sku} ({job.key.theme}): {' '.join(job.review_reasons)}" for job in oldest
    ]
    title = "1 picture to review" if count == 1 else f"{count:,} pictures to review"
    return Message(REVIEWS, title, "\n".join(lines), Level.INFO, f"{pages}/review")


def summary(ledger: Ledger, pages: str) -> Message | None:
    """What happened yesterday (UTC) and what waits, once a day; ``None`` if nothing happened.

    Args:
        pages: Address of Photopipe's pages.
    """
    now = ledger.database.now()
    day = f"{now - timedelta(days=1):%Y-%m-%d}"
    if now.hour < _MORNING or ledger.watermarks.get(_SUMMARIZED) == day:
        return None
    yesterday = ledger.dashboard.figures(2).points[0]
    if not (yesterday.published or yesterday.failed):
        return None
    to_review = ledger.reviews.count()
    waiting = sum(ledger.dispatches.due_later().values())
    text = (
        f"{yesterday.published:,} published, {yesterday.failed:,} failed, "
        f"${usd(yesterday.cost)} spent. Now {to_review:,} to review, and {waiting:,} that wait and "
        "continue automatically."
    )
    return Message("summary", f"Photopipe on {day}", text, Level.INFO, f"{pages}/")


def summarized(ledger: Ledger) -> None:
    """The summary of yesterday was told."""
    now = ledger.database.now()
    ledger.watermarks.set(_SUMMARIZED, f"{now - timedelta(days=1):%Y-%m-%d}")


def standing(
    ledger: Ledger, settings: Settings, instance: DagsterInstance, sensors: Sequence[str]
) -> Iterator[Message]:
    """What is wrong now: services that are down, a spent budget, photos that wait too long, and ill
    sensors.

    While a service is down, photos wait for it: that says enough.

    Args:
        sensors: Names of the sensors that must tick.
    """
    down, waiting = ledger.breakers.down(), ledger.dispatches.waiting_for()
    for breaker in down:
        yield _down(breaker, waiting.get(breaker.name, 0), settings.base_url)
    if waiting.get(BUDGET):
        yield _budget_spent(ledger, waiting[BUDGET], settings.base_url)
    late = None if down else _queue_age(ledger, settings)
    if late is not None:
        yield late
    yield from _ill_sensors(instance, sensors, settings, ledger.database.now())


def lasting(messages: Iterable[Message]) -> set[str]:
    """Topics that last, or of which nobody can tell while others do.

    Args:
        messages: What `standing` has found.
    """
    topics = {message.topic for message in messages}
    if any(topic.startswith("down_") for topic in topics):
        topics.add(QUEUE_AGE)
    return topics


def _down(breaker: Breaker, waiting: int, pages: str) -> Message:
    why, name = explain_service(breaker), service_title(breaker.name)
    photos = "1 photo waits" if waiting == 1 else f"{waiting:,} photos wait"
    again = "" if why.again is None else f" The next try is at {why.again:%H:%M} UTC."
    text = f"{why.says}\nWhat to do: {why.do}{again}\n{photos} for it."
    text = for_reader(text, "", Reader.PAGE)
    over = f"{name} works again"
    return Message(f"down_{breaker.name}", why.title, text, Level.ALERT, f"{pages}/", over)


def _budget_spent(ledger: Ledger, waiting: int, pages: str) -> Message:
    photos = "1 photo waits" if waiting == 1 else f"{waiting:,} photos wait"
    limited = [
        each for each in (ledger.budget.day(), ledger.budget.month()) if each.room is not None
    ]
    says = [
        f"{period.describe()}; the next begins at {period.ends:%Y-%m-%d %H:%M} UTC."
        for period in limited
    ]
    says.append(
        "Photos continue automatically then, or once the limit is raised and Photopipe restarted."
    )
    return Message(
        WAITING_FOR_BUDGET,
        f"{photos} for the budget",
        "\n".join(says),
        Level.WARNING,
        f"{pages}/",
        "No photo waits for the budget any more",
    )


def _named(job: Job, pages: str) -> str:
    where = f"{pages}/jobs/{job.id}" if pages else job.id
    return f"{where} {job.key.sku} ({job.key.theme})"


def _queue_age(ledger: Ledger, settings: Settings) -> Message | None:
    limit = timedelta(minutes=settings.alert_queue_minutes)
    late = ledger.dispatches.not_taken_up(ledger.database.now() - limit)
    if not late:
        return None
    return Message(
        QUEUE_AGE,
        f"Photos that wait for more than {limit.total_seconds() / 60:.0f} minutes: {late}",
        "Nothing has taken them up. Check that Dagster's daemon runs, that the sensor "
        "photo_dispatch is on, and that runs are not stuck in the queue; `photopipe doctor` helps.",
        Level.ALERT,
        f"{settings.base_url}/jobs?status=QUEUED",
        "Photos are picked up in time again",
    )


def _ill_sensors(
    instance: DagsterInstance, names: Sequence[str], settings: Settings, now: datetime
) -> Iterator[Message]:
    page = f"{settings.dagster_ui_url.rstrip('/')}/automation"
    for state in instance.all_instigator_state():
        if state.instigator_name not in names or not state.is_running:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=TICKS)
        if not ticks:
            continue
        name = state.instigator_name
        quiet = now.timestamp() - ticks[0].timestamp
        if len(ticks) == TICKS and all(tick.is_failure for tick in ticks):
            yield Message(
                f"sensor_{name}",
                f"The sensor {name} fails",
                f"Its last {TICKS} ticks failed. The Dagster UI shows why under Automation.",
                Level.ALERT,
                page,
                f"The sensor {name} works again",
            )
        elif quiet > STALE_AFTER.total_seconds():
            yield Message(
                f"sensor_{name}",
                f"The sensor {name} is stale",
                f"It is on and has not ticked for {quiet / 60:.0f} minutes. Restart Dagster's "
                "daemon if it does not come back by itself.",
                Level.ALERT,
                page,
                f"The sensor {name} works again",
            )
