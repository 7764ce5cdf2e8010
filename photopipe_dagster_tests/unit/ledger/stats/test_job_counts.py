"""Counts that are kept equal what counting would give, whatever happens to jobs."""

import threading
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import delete, func, select, text

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.database import MIGRATIONS
from photopipe_dagster.ledger.jobs.intake import Arrival
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.tables import job_counts, jobs
from photopipe_dagster_tests.unit.ledger.conftest import photo


def counted(ledger):
    """What counting all jobs gives."""
    rows = ledger.database.all(
        select(
            jobs.c.status,
            jobs.c.theme,
            func.count().label("jobs"),
            func.sum(jobs.c.segmentation_cost).label("cost"),
            func.sum(jobs.c.retry_count).label("retries"),
        ).group_by(jobs.c.status, jobs.c.theme)
    )
    return {(row.status, row.theme): (row.jobs, row.cost, row.retries) for row in rows}


def kept(ledger):
    counts = ledger.counts.by_status_and_theme().items()
    return {
        key: (count.jobs, count.cost, count.retries)
        for key, count in counts
        if (count.jobs, count.cost, count.retries) != (0, 0, 0)
    }


def rows(ledger):
    return ledger.database.one(select(func.count()).select_from(job_counts))[0]


def live(ledger, numbers):
    """Photos come in, are paid for, fail, are tried again and done."""
    for number in numbers:
        key = photo(number, theme=("default", "kitchen")[number % 2])
        job = ledger.intake.submit(key, "submit").job
        spend = ledger.spending.reserve(
            f"mask {number}",
            key=key,
            stage=Stage.MASK,
            provider="freepik",
            amount=Decimal("0.02"),
            owner="t",
        )
        ledger.spending.settle(spend.id, SpendState.CHARGED if number % 3 else SpendState.VOID)
        ledger.transitions.advance(job.id, JobStatus.COMPOSITING)
        if number % 4 == 0:
            ledger.transitions.fail(job.id, NetworkError("No answer."))
        elif number % 4 == 1:
            ledger.transitions.advance(job.id, JobStatus.DONE)


def test_counts_follow_jobs(ledger, clock):
    assert kept(ledger) == {}
    live(ledger, range(12))
    assert kept(ledger) == counted(ledger)
    clock.move(1000)
    ledger.dispatches.take(photos_per_dispatch=50, limit=50)  # counts the retries
    assert kept(ledger) == counted(ledger)
    with ledger.database.write() as connection:
        connection.execute(delete(jobs).where(jobs.c.theme == "kitchen"))
    assert kept(ledger) == counted(ledger)
    stats = ledger.jobs.stats()
    assert stats.total == 6
    assert stats.total_cost == sum(cost for _, cost, _ in counted(ledger).values())


def test_adding_up_changes_nothing(ledger):
    live(ledger, range(12))
    before, many = kept(ledger), rows(ledger)
    ledger.counts.compact()
    assert kept(ledger) == before == counted(ledger)
    assert rows(ledger) <= len(before) < many
    ledger.counts.compact()
    assert kept(ledger) == before


def test_many_rows_are_added_up_by_looking(ledger, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.ledger.stats.job_counts.COMPACT_FROM", 20)
    ledger.intake.submit_all([Arrival(photo(number), "poll") for number in range(20)])
    assert rows(ledger) == 20
    assert ledger.jobs.stats().total == 20
    assert rows(ledger) == 1
    assert ledger.jobs.stats().total == 20


@pytest.mark.parametrize("status", [None, JobStatus.NEW, JobStatus.DONE])
@pytest.mark.parametrize("theme", [None, "default", "luxury"])
@pytest.mark.parametrize("sku", [None, "SKU-1"])
def test_totals_of_lists_are_what_lists_have(ledger, status, theme, sku):
    live(ledger, range(5))
    which = JobQuery(() if status is None else (status,), theme=theme, sku=sku)
    assert ledger.jobs.count(which) == len(ledger.jobs.find(which, limit=100))


def test_counts_of_months_follow_jobs(ledger, clock):
    def months():
        query = select(job_counts.c.month, func.sum(job_counts.c.jobs).label("jobs"))
        query = query.group_by(job_counts.c.month).order_by(job_counts.c.month)
        return [(row.month, int(row.jobs)) for row in ledger.database.all(query)]

    clock.now = datetime(2026, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    live(ledger, range(5))
    clock.move(0.001)
    live(ledger, range(5, 12))
    assert months() == [("2026-01", 5), ("2026-02", 7)]
    ledger.counts.compact()
    assert months() == [("2026-01", 5), ("2026-02", 7)]
    begins = [datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3)]
    assert ledger.counts.find(6) == (begins[1], 6)
    assert ledger.counts.find(7) == (begins[0], 0)
    assert ledger.counts.find(12) is None
    assert ledger.counts.find(0, theme="luxury") is None


def test_an_older_versions_writes_are_counted(ledger):
    live(ledger, range(12))
    before = counted(ledger)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
    assert kept(ledger) == before
    columns = "sha256, theme, partition_key, status, source, created_at, updated_at, retry_count"
    with ledger.database.write() as connection:
        connection.execute(  # as that version would: it does not know all columns of today
            text(
                f"INSERT INTO jobs (id, sku, segmentation_cost, background_cost, {columns}) "  # noqa: S608
                f"SELECT 'new', 'new', 1, 0, {columns} FROM jobs LIMIT 1"
            )
        )
        connection.execute(delete(jobs).where(jobs.c.theme == "kitchen"))
    assert kept(ledger) == counted(ledger) != before


def test_writers_side_by_side_are_all_counted(ledger, database_url):
    """On Postgres they really are side by side; none waits for or fails with another."""
    failures = []
    others = [Ledger(database_url) for _ in range(4)]

    def work(other, numbers):
        try:
            live(other, numbers)
            other.counts.compact()
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(other, range(place, 48, 4)))
        for place, other in enumerate(others)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.counts.compact()
        # No look sees half of a change.
        assert all(count[0] >= 0 for count in kept(ledger).values())
        threads[0].join(0.01)
    for other in others:
        other.close()
    assert failures == []
    assert kept(ledger) == counted(ledger)
    assert sum(count for count, _, _ in kept(ledger).values()) == 48


def test_many_announcements_at_once(ledger):
    known = photo(1)
    ledger.intake.submit(known, "webhook", image_url="https://photos.example/old")
    arrivals = [
        Arrival(photo(2), "webhook", "https://photos.example/2"),
        Arrival(known, "webhook", "https://photos.example/new"),
        Arrival(photo(3), "webhook"),
        Arrival(photo(2), "webhook", "https://photos.example/again"),
    ]
    assert ledger.intake.submit_all(arrivals) == [True, False, True, False]
    assert ledger.intake.submit_all(arrivals) == [False] * 4
    assert ledger.intake.submit_all([]) == []
    assert ledger.jobs.require(known.job_id).image_url == "https://photos.example/new"
    newest = [job.key for job in ledger.jobs.find(JobQuery(), limit=9)]
    assert Counter(newest) == Counter([photo(1), photo(2), photo(3)])
