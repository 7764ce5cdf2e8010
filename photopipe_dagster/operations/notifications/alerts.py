"""What needs people now, read from the ledger and from Dagster's ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dagster import DagsterInstance

from photopipe_dagster.core.money import usd
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.notifications.message import Level, Message

FAILURES: Final = "failures"

EXAMPLES: Final = 3
"""Photos that a digest names for each error code."""

TICKS: Final = 3
"""Failed ticks in a row after which a sensor is told of."""

STALE_AFTER: Final = timedelta(minutes=10)
"""A sensor that is on and has not ticked for so long is told of."""

_DIGESTED: Final = "failures_digested"


@dataclass(frozen=True, slots=True)
class Digest:
    """Failures that have not been told yet.

    Args:
        until: Failures up to this moment are in it.
    """

    message: Message
    until: datetime


def failures(ledger: Ledger, every: timedelta) -> Digest | None:
    """A digest of the photos that failed for good since the last one; ``None`` if it is not time.

    Args:
        every: Between two digests.
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
        lines.append(f"{count} × {code}")
        lines += [
            f"  {job.id} {job.key.sku} ({job.key.theme}): {job.error_message}"
            for job in ledger.jobs.failed_with(code, since, now, limit=EXAMPLES)
        ]
    lines.append("`photopipe status` shows them, `photopipe retry` tries them again.")
    photos = "1 photo" if total == 1 else f"{total} photos"
    return Digest(Message(FAILURES, f"{photos} failed", "\n".join(lines)), now)


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
            )
    return None


def standing(
    ledger: Ledger, settings: Settings, instance: DagsterInstance, sensors: Sequence[str]
) -> Iterator[Message]:
    """What is wrong now: services that are down, photos that wait too long, and ill sensors.

    While a service is down, photos wait for it: that says enough.

    Args:
        sensors: Names of the sensors that must tick.
    """
    down = ledger.breakers.down()
    for breaker in down:
        yield Message(
            f"down_{breaker.name}",
            f"{breaker.name} is down",
            f"It is {breaker.describe()}",
            Level.ALERT,
        )
    waiting = None if down else _queue_age(ledger, timedelta(minutes=settings.alert_queue_minutes))
    if waiting is not None:
        yield waiting
    yield from _ill_sensors(instance, sensors, ledger.database.now())


def _queue_age(ledger: Ledger, limit: timedelta) -> Message | None:
    late = ledger.dispatches.not_taken_up(ledger.database.now() - limit)
    if not late:
        return None
    return Message(
        "queue_age",
        f"Photos that wait for more than {limit.total_seconds() / 60:.0f} minutes: {late}",
        "Nothing has taken them up. Check that Dagster's daemon runs, that the sensor "
        "photo_dispatch is on, and that runs are not stuck in the queue; `photopipe doctor` helps.",
        Level.ALERT,
    )


def _ill_sensors(
    instance: DagsterInstance, names: Sequence[str], now: datetime
) -> Iterator[Message]:
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
            )
        elif quiet > STALE_AFTER.total_seconds():
            yield Message(
                f"sensor_{name}",
                f"The sensor {name} is stale",
                f"It is on and has not ticked for {quiet / 60:.0f} minutes. Restart Dagster's "
                "daemon if it does not come back by itself.",
                Level.ALERT,
            )
