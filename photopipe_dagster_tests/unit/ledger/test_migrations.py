"""What an older version wrote reads right in this one, and goes back to what it was."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.database import MIGRATIONS, Database
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.ledger.conftest import photo

OLD = "0009"
MADE, ENDED = "2026-11-01 09:00:00.000000", "2026-11-01 10:30:00.000000"

CANCELLED = {
    "error_code": "VALIDATION_ERROR",
    "error_message": "Cancelled by Ann O'Neil (ops).",
    "error_details": {"kind": "cancelled"},
}
REJECTED = {
    "error_code": "COMPOSITE_ERROR",
    "error_message": "Rejected by Eva: The handle: gone.",
    "error_details": {"kind": "rejected"},
    "review": "rejected",
    "reviewed_by": "Eva",
    "reviewed_at": ENDED,
    "review_note": "The handle: gone.",
}
WITHOUT_A_NOTE = REJECTED | {"error_message": "Rejected by Eva.", "review_note": None}
UNREADABLE = {
    "error_code": "VALIDATION_ERROR",
    "error_message": "Truncated.",
    "error_details": {"kind": "quality"},
}

JOBS: dict[int, dict[str, Any]] = {
    1: CANCELLED,
    2: REJECTED,
    3: WITHOUT_A_NOTE,
    # A person has retried it, and no run has it yet.
    4: CANCELLED | {"retry_at": ENDED},
    5: UNREADABLE,
    # An outside orchestrator wrote these details.
    6: CANCELLED | {"error_code": "NETWORK_ERROR", "error_message": "Gone."},
    # Rejected, retried, and failed since for another reason.
    7: UNREADABLE | {"review": "rejected", "reviewed_by": "Eva", "reviewed_at": MADE},
    8: {
        "status": "DONE",
        "failed_at": None,
        "completed_at": ENDED,
        "error_details": None,
        "shopify_product_id": "gid://shopify/Product/1",
        "shopify_media_id": "gid://shopify/MediaImage/2",
    },
}
"""All of them FAILED but the last, as the version before wrote them."""


@pytest.fixture
def old(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    migrate(database, command.upgrade, OLD)
    with database.write() as connection:
        for number, values in JOBS.items():
            key = photo(number)
            row = {
                "id": key.job_id,
                "sku": key.sku,
                "sha256": key.sha256,
                "theme": key.theme,
                "partition_key": key.partition_key,
                "status": "FAILED",
                "source": "poll",
                "created_at": MADE,
                "updated_at": ENDED,
                "failed_at": ENDED,
                "segmentation_cost": 20_000,
                "background_cost": 0,
                "retry_count": 0,
            } | values
            row["error_details"] = json.dumps(row["error_details"])
            names = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO jobs ({names}) VALUES ({places})"), row)  # noqa: S608
        for table, begins, moment in (
            ("hours", "hour", "2026-11-01 10:00:00.000000"),
            ("hours", "hour", "2026-11-01 11:00:00.000000"),
            ("days", "day", "2026-11-01 00:00:00.000000"),
        ):
            kept = f"INSERT INTO {table} ({begins}, measure, name, count, amount, seconds)"
            connection.execute(
                text(f"{kept} VALUES (:moment, 'failed', 'default', 5, 0, 0)"), {"moment": moment}
            )
    yield database
    database.close()


def migrate(database: Database, way: Callable[[Config, str], None], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        way(config, revision)


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    with database.read() as connection:
        tables = {
            table: connection.execute(text(f"SELECT * FROM {table}")).mappings()  # noqa: S608
            for table in ("jobs", "hours", "days")
        }
        return {name: sorted(map(dict, rows), key=str) for name, rows in tables.items()}


def test_what_a_person_decided_gets_a_status_of_its_own(old: Database, empty_database_url: str):
    old.migrate()
    ledger = Ledger(empty_database_url)
    found = {number: ledger.jobs.require(photo(number).job_id) for number in JOBS}
    assert {number: job.status for number, job in found.items()} == {
        1: JobStatus.CANCELLED,
        2: JobStatus.REJECTED,
        3: JobStatus.REJECTED,
        **dict.fromkeys((4, 5, 6, 7), JobStatus.FAILED),
        8: JobStatus.DONE,
    }
    ended = datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
    cancelled = found[1]
    assert (cancelled.cancelled_by, cancelled.cancelled_at) == ("Ann O'Neil (ops)", ended)
    assert cancelled.decision == CANCELLED["error_message"]
    assert (found[2].reviewed_by, found[2].reviewed_at) == ("Eva", ended)
    assert found[2].decision == REJECTED["error_message"]
    assert found[3].decision == WITHOUT_A_NOTE["error_message"]
    for number in (1, 2, 3):
        job = found[number]
        assert (job.error_code, job.error_message, job.error_details) == (None, None, None)
        assert job.failed_at is None
    assert (found[8].product_id, found[8].media_id) == (
        "gid://shopify/Product/1",
        "gid://shopify/MediaImage/2",
    )
    assert found[4].retry_at == ended
    assert found[5].error_code is ErrorCode.VALIDATION_ERROR
    assert found[6].error_details == {"kind": "cancelled"}
    assert ledger.jobs.stats().by_status == dict.fromkeys(JobStatus, 0) | {
        JobStatus.CANCELLED: 1,
        JobStatus.REJECTED: 2,
        JobStatus.FAILED: 4,
        JobStatus.DONE: 1,
    }
    ledger.close()


def test_the_rejected_are_no_failures_of_hours_and_days_that_are_kept(old: Database):
    old.migrate()
    kept = everything(old)
    assert sorted(row["count"] for row in kept["hours"]) == [3, 5]
    assert [row["count"] for row in kept["days"]] == [3]


def test_the_way_back_leaves_what_was_there(old: Database):
    before = everything(old)
    old.migrate()
    migrate(old, command.downgrade, OLD)
    assert everything(old) == before
    old.migrate()
