"""Every fault of every outside call, and what comes of it: `docs/fault-matrix.md`, row by row.

The pipeline and its clients are the real ones, and so are the servers: the simulators, the API, an
S3 server behind a proxy that fails, a ledger in a file. What is made up: waiting takes no time, a
read timeout comes when the server hangs, a full disk is reported by `os.fsync` and by SQLite's
driver, and the stages before the one that makes the call are prepared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import boto3
import pytest
from moto.server import ThreadedMotoServer

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.defs.assets.photos import STAGE_FUNCTIONS
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster_tests.support.faults.bucket import BUCKET, faulty
from photopipe_dagster_tests.support.faults.calls import (
    CALLS,
    DISK_FULL,
    LOCKED,
    NOT_CONNECTED,
    Call,
)
from photopipe_dagster_tests.support.faults.observe import observe
from photopipe_dagster_tests.support.faults.shop import BROKEN_OFF, DONE, Shop
from photopipe_dagster_tests.support.faults.table import Row, rows
from photopipe_dagster_tests.support.world import world

ROWS = rows()

WIRE = {
    NOT_CONNECTED,
    "timeout after send, nothing done",
    "timeout after send, done",
    "connection reset, nothing done",
    "connection reset, done",
}
STATUSES = {"400", "401", "402", "403", "404", "409", "422", "429", "500", "503"}
ANSWERS = {"429 with Retry-After", "wrong content type", "a web page"}
BODIES = {"truncated body", "wrong JSON"}
GRAPHQL = {"GraphQL THROTTLED", "GraphQL INTERNAL_SERVER_ERROR", "GraphQL ACCESS_DENIED"}
S3 = {
    *(STATUSES - {"402", "422"}),
    "429 with Retry-After",
    "403 expired token",
    "404 of somebody else",
    "503 SlowDown",
    "a web page",
}
_MUTATIONS = {"upload target", "media create", "attach", "reorder"}
_NO_BODY_MATTERS = {"upload of the photo"}


def possible(name: str) -> set[str]:
    """All that can happen to an outside call."""
    service, _, rest = CALLS[name].operation.partition(".")
    if service == "ledger":
        return {LOCKED, DISK_FULL}
    if service == "folder":
        return {DISK_FULL}
    if service == "s3":
        return WIRE | S3 | ({"truncated body", "wrong content type"} if rest == "get" else set())
    faults = WIRE | STATUSES | ANSWERS
    if name not in _NO_BODY_MATTERS:
        faults |= {"truncated body"}
    if name not in {*_NO_BODY_MATTERS, "upload to the target"}:
        faults |= {"wrong JSON"}
    if not CALLS[name].asked:
        faults |= GRAPHQL | ({"userErrors"} if name in _MUTATIONS else set())
    return faults


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield monkeypatch


@pytest.fixture(scope="module")
def s3_url(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[str]:
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in variables.items():
        monkeypatch_module.setenv(name, value)
    # Half a minute of the flying time shows the same as two, with a quarter of the requests.
    monkeypatch_module.setattr("photopipe_dagster.shopify.client.THROTTLED_SECONDS", 30.0)
    monkeypatch_module.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    # One client for all rows: the quota of retries would run out that a client has in all.
    monkeypatch_module.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch, s3_url: str
) -> Iterator[Shop]:
    config = SandboxConfig(
        mystic_polls=1,
        shopify_media_polls=1,
        # Time flies for the clients, not for the bucket: it never runs empty by itself.
        shopify_bucket_points=1e6,
        shopify_restore_points=1e6,
    )
    environment = {
        "SHOPIFY_CLIENT_ID": config.shopify_client_id,
        "SHOPIFY_CLIENT_SECRET": config.shopify_client_secret,
    }
    # Half of the time would go into making files durable; in memory there is nothing to wait for.
    memory = Path("/dev/shm")
    folder = memory if memory.is_dir() else tmp_path_factory.getbasetemp()
    with (
        TemporaryDirectory(prefix="photopipe-", dir=folder) as kept,
        world(Path(kept), monkeypatch_module, config=config, **environment) as running,
        faulty(s3_url) as (bucket_url, trouble),
    ):
        yield Shop(running, bucket_url, trouble)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_comes_of_a_fault(shop: Shop, row: Row) -> None:
    actual, message = observe(shop, row)
    assert actual == row, message
    if row.lasting == DONE:
        assert row.says == "–"
    else:
        assert row.says in message


def test_a_server_that_names_a_time_is_waited_for_as_long(shop: Shop) -> None:
    for name in ("photo download", "cut-out request", "background request", "media create"):
        subject = shop.subject(CALLS[name])
        with shop.trouble(subject, "429 with Retry-After", lasting=False):
            assert shop.attempt(subject).word == DONE
        assert 7.0 in shop.time.slept, name


def test_every_call_has_every_fault_that_can_happen_to_it() -> None:
    had = defaultdict(set)
    for row in ROWS:
        assert row.fault not in had[row.call], f"{row} is there twice"
        had[row.call].add(row.fault)
    assert had.keys() == CALLS.keys()
    for name in CALLS:
        assert possible(name) <= had[name], name


def test_no_purchase_is_repeated_without_being_owned_up_to() -> None:
    """What was bought is paid once; a second price stands beside one that was lost or unknown."""
    for row in ROWS:
        states = row.paid.split(" + ")
        assert states[-1] in ("paid", "–"), row
        assert states.count("paid") <= 1, row
        assert set(states[:-1]) <= {"not paid", "perhaps paid", "paid and lost"}, row


# --- the codes that no fault of an outside call leads to ------------------------------------


def failing_stage(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, stage: Stage, error: Exception
) -> str:
    """The outcome of a photo in whose stage something is raised that nobody foresaw."""

    async def fails(_: object) -> None:
        raise error

    monkeypatch.setitem(STAGE_FUNCTIONS, stage, fails)  # type: ignore[arg-type]
    return shop.attempt(shop.subject(Call(stage))).word


def over_budget(shop: Shop) -> str:
    limits, shop.ledger.budget.limits = shop.ledger.budget.limits, Limits(day=Decimal(0))
    try:
        subject = shop.subject(CALLS["cut-out request"])
        outcome = shop.attempt(subject)
        assert "COST_LIMIT_DAILY_USD" in outcome.message
        assert (shop.money(subject), shop.bill(subject)) == ("–", [])
    finally:
        shop.ledger.budget.limits = limits
    assert shop.attempt(subject).word == DONE
    return outcome.word


def a_damaged_cutout(shop: Shop) -> str:
    outcome = shop.attempt(shop.subject(Call(Stage.COMPOSITE)))
    assert "cut-out" in outcome.message
    return outcome.word


def test_every_error_code_is_reached(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {word for row in ROWS for word in (row.once, row.lasting)} - {DONE, BROKEN_OFF}
    reached = {word for text in words for word in re.findall(r"[A-Z0-9]+(?:_[A-Z0-9]+)+", text)}
    others = {
        over_budget(shop): "COST_LIMIT_ERROR, tried again",
        a_damaged_cutout(shop): "COMPOSITE_ERROR, for good",
        failing_stage(shop, monkeypatch, Stage.ORIGINAL, RuntimeError("unforeseen")): (
            "UNKNOWN_ERROR, tried again"
        ),
    }
    for actual, expected in others.items():
        assert actual == expected
        reached.add(expected.partition(",")[0])
    assert reached == {code.value for code in ErrorCode}
