"""What publishing on Shopify has beside the contract of all shops, and what people ask of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import NetworkError, PhotopipeError, TargetError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.support.conformance.publishing import (
    DiedError,
    Publisher,
    Stocked,
    photo,
)
from photopipe_dagster_tests.support.conformance.shopify import ShopifyFront


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(shopify_media_polls=0)) as running:
        yield running


@pytest.fixture
def shop(
    server: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Publisher]:
    server.state.reset()
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SHOPIFY_STORE", server.shopify_url)
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", server.config.shopify_token)
    monkeypatch.setenv("SHOPIFY_POLL_SECONDS", "0.01")
    settings = Settings(_env_file=None)
    ledger = Ledger.open(settings)
    yield Publisher(ShopifyFront(server), settings, ledger)
    ledger.close()


def test_the_first_publication_asks_shopify_no_more_than_it_has_to(
    shop: Publisher, monkeypatch: pytest.MonkeyPatch
):
    def operation(request: httpx.Request) -> str:
        if not request.url.path.endswith("graphql.json"):
            return "upload"
        return re.findall(r"\w+", json.loads(request.content)["query"])[1]

    monkeypatch.setattr(shop.front, "step", operation)
    product = shop.front.add_product("A")
    with shop.cut_after(None, DiedError) as steps:
        media_id = shop.publish(photo("A"), "red")
    assert shop.front.gallery(product) == [media_id]
    assert steps == [
        "FindVariants",
        "FilesByName",
        "CreateStagedUpload",
        "upload",
        "CreateFile",
        "created_media",
        "FileById",
        "UpdateFile",
        "attached_media",
        "advance",
    ]


def test_doubles_that_were_left_by_an_older_version_become_one(shop: Publisher):
    stocked = Stocked.of(shop, "A")
    _, first, old, last = stocked.parts
    newer = shop.publish(stocked.key, "blue")
    stocked.gallery[:] = [first, old, last, newer]
    book = shop.ledger.catalogue
    for known in book.media_of_job(stocked.key.job_id):
        book.attached_media(known.filename, stocked.product)
    newest = shop.publish(stocked.key, "green")
    assert stocked.gallery == [first, newest, last]


def test_unpublishing_after_a_publication_that_was_killed_takes_off_what_it_left(shop: Publisher):
    stocked = Stocked.of(shop, "A")
    _, first, _, last = stocked.parts
    shop.publish(stocked.key, "blue")
    with shop.cut_after(4, DiedError) as steps:
        assert shop.publish(stocked.key, "green") is None
    assert steps[-1] == "UpdateFile"
    assert len(stocked.gallery) == 4
    done = shop.unpublish(stocked.key)
    assert len(done.taken) == 2
    assert done.restored is not None
    assert stocked.gallery == [first, done.restored, last]


def test_a_job_on_its_way_is_left_alone(shop: Publisher):
    shop.front.add_product("A")
    key = photo("A")
    shop.ledger.intake.submit(key, "submit")
    with pytest.raises(PhotopipeError, match="NEW"):
        shop.unpublish(key)
    shop.publish(key, "red")
    shop.ledger.leases.take([job_lease(key.job_id)], "some run")
    with pytest.raises(PhotopipeError, match="run is at work"):
        shop.unpublish(key)
    with pytest.raises(PhotopipeError, match="no job"):
        shop.unpublish(photo("B"))


def test_an_error_of_shopify_leaves_the_lease_free(shop: Publisher, server: RunningSandbox):
    product = shop.front.add_product("A")
    key = photo("A")
    shop.publish(key, "red")
    granted, server.state.shopify.scopes = server.state.shopify.scopes, {"read_products"}
    with pytest.raises((TargetError, NetworkError), match="write_files"):
        shop.unpublish(key)
    assert len(shop.front.gallery(product)) == 1
    server.state.shopify.scopes = granted
    assert len(shop.unpublish(key).taken) == 1


def test_the_command_says_what_it_did_and_how_to_publish_again(shop: Publisher):
    shop.front.add_product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    new = shop.publish(key, "blue")
    said = CliRunner().invoke(app, ["unpublish", key.job_id])
    assert said.exit_code == 0, said.output
    flat = " ".join(said.output.split())
    assert f"{new} is off its product" in flat
    assert f"{old}, which stood there before, is back" in flat
    assert f"photopipe publish {key.job_id}" in flat
    again = CliRunner().invoke(app, ["unpublish", key.job_id])
    assert "nothing of it is on a product" in " ".join(again.output.split())


def test_what_was_taken_off_is_published_again_when_a_person_asks_for_it(shop: Publisher):
    product = shop.front.add_product("A")
    key = photo("A")
    media_id = shop.publish(key, "red")
    shop.unpublish(key)
    said = CliRunner().invoke(app, ["publish", key.job_id, key.job_id])
    assert said.exit_code == 0, said.output
    assert said.output.count("goes out again") == 1
    (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (key,)
    assert shop.publish(key, "red") == media_id
    assert shop.front.gallery(product) == [media_id]
    assert len(shop.front.files()) == 1
    shop.ledger.intake.submit(photo("B"), "submit")
    said = CliRunner().invoke(app, ["publish", key.job_id, photo("B").job_id])
    assert said.exit_code == 1
    assert "only a DONE one" in str(said.exception)
    assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE
