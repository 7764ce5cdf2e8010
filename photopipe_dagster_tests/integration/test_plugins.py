"""Three packages that Photopipe knows nothing of: installed, they do all that its own plug-ins do.

A provider that takes money, a source that has no digests and wants acknowledgements, and a shop,
each a folder and an entry point, with real services of their own.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.runtime.advice import advice_on
from photopipe_dagster_tests.support.plugins.services import KEY, Shelf, Shop, Studio
from photopipe_dagster_tests.support.world import (
    World,
    free_port,
    photo_of_a_mug,
    running_api,
    world,
)

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Street:
    """The three services, and what leads a Photopipe to them."""

    studio: Studio
    shelf: Shelf
    shop: Shop

    @property
    def variables(self) -> Mapping[str, str]:
        """Of the environment."""
        return {
            "AI_PROVIDER": "acme-cutouts",
            "ACME_CUTOUTS_URL": self.studio.url,
            "ACME_CUTOUTS_KEY": KEY,
            "ACME_SHELF_URL": self.shelf.url,
            "ACME_SHELF_KEY": KEY,
            "ACME_SHOP_URL": self.shop.url,
            "ACME_SHOP_TOKEN": KEY,
        }


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    studio, shelf, shop = Studio(), Shelf(), Shop()
    with studio.running(), shelf.running(), shop.running():
        yield Street(studio, shelf, shop)


# --- the whole path, in processes of its own -----------------------------------------------


@dataclass(frozen=True)
class Turns:
    """What two turns left: the first was killed, the second went on."""

    street: Street
    home: Path
    port: int
    killed: list[str]
    """What the services had been asked for until then."""
    sensors: list[str]

    @property
    def variables(self) -> Mapping[str, str]:
        """Of the environment of both."""
        return {
            **self.street.variables,
            "DATA_DIR": str(self.home),
            "DAGSTER_HOME": str(self.home),
            "JOB_RETRY_DELAY_SECONDS": "0",
            "PORT": str(self.port),
        }

    def settings(self, monkeypatch: pytest.MonkeyPatch) -> Settings:
        """As both had them."""
        for name, value in self.variables.items():
            monkeypatch.setenv(name, value)
        return Settings(_env_file=None)


@pytest.fixture(scope="module")
def turns(street: Street, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Turns:
    """One photo: its process dies when it first asks for the cut-out that it has bought."""
    street.shelf.put("MUG #1", photo_of_a_mug(1))
    street.shop.add_product("A mug", "MUG #1")
    street.shop.add_product("Another mug", "MUG #10")
    made = Turns(street, tmp_path_factory.mktemp("home"), free_port(), [], [])
    (made.home / "dagster.yaml").touch()
    environment = os.environ | made.variables | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}

    def start(seconds: int) -> subprocess.Popen[str]:
        module = "photopipe_dagster_tests.support.plugins.turn"
        command = [sys.executable, "-m", module, "acme_shelf_poll", str(seconds)]
        return subprocess.Popen(
            command, cwd=made.home, env=environment, stdout=subprocess.PIPE, text=True
        )

    first = start(0)

    def kill(asked: str) -> None:
        if asked.startswith("GET /jobs/"):
            made.killed[:] = street.studio.asked
            first.kill()

    street.studio.watch = kill
    first.communicate(timeout=120)
    assert first.returncode == -signal.SIGKILL
    street.studio.watch = lambda _: None
    second = start(600)
    made.sensors[:] = json.loads(second.communicate(timeout=120)[0].splitlines()[-1])
    assert second.returncode == 0
    return made


def test_what_was_bought_before_the_kill_is_not_bought_again(turns: Turns):
    assert turns.killed == ["POST /cutouts", "GET /jobs/j1"]
    assert turns.street.studio.bills == [Decimal("0.03"), Decimal("0.07")]


def test_the_ledger_has_what_the_studio_has_billed_to_the_cent(
    turns: Turns, outside: Path, monkeypatch: pytest.MonkeyPatch
):
    ledger = Ledger.open(turns.settings(monkeypatch))
    (job,) = ledger.jobs.find(JobQuery(), limit=9)
    assert (job.status, job.source, job.key.sku) == (JobStatus.DONE, "acme-shelf", "MUG #1")
    spends = ledger.spending.of_job(job.id)
    assert [(each.state, each.amount) for each in spends] == [
        (SpendState.CHARGED, usd) for usd in turns.street.studio.bills
    ]
    steps = {step.stage: step.provider for step in ledger.steps.of_job(job.id)}
    assert steps[Stage.MASK] == steps[Stage.BACKGROUND] == "acme-cutouts"
    assert steps[Stage.SHOPIFY_MEDIA] == "acme-shop"
    said = CliRunner().invoke(app, ["costs", "--json"])
    assert "acme-cutouts" in said.stdout
    ledger.close()


def test_the_picture_stands_in_the_shop_and_the_photo_is_taken_from_the_shelf(turns: Turns):
    shelf, shop = turns.street.shelf, turns.street.shop
    (photo,) = shelf.photos.values()
    assert photo.taken
    product, other = shop.products.values()
    (picture,) = shop.files.values()
    assert (product.gallery, other.gallery) == ([picture.id], [])
    assert picture.alt.startswith("A mug")
    with Image.open(io.BytesIO(picture.data)) as image:
        assert max(image.size) <= 120  # as this shop wants it


def test_dagster_has_a_sensor_for_the_source(turns: Turns):
    assert {"acme_shelf_poll", "threejms_poll", "photo_dispatch"} < set(turns.sensors)


def test_whoever_tells_of_plugins_tells_of_these(
    turns: Turns, outside: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = turns.settings(monkeypatch)
    findings = {
        each["what"]: (each["ok"], each["says"])
        for each in json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    }
    says = "cut-outs, backgrounds; cutout 0.03 USD, background 0.07 USD"
    assert findings["Provider acme-cutouts"] == (True, says)
    assert findings["Acme Shelf polling"] == (True, "every 60 s, answers")
    assert findings["Acme Shop"] == (True, "open for business")
    listed = json.loads(CliRunner().invoke(app, ["settings", "--json"]).stdout)
    known = {each["name"]: each for each in listed if each["section"].startswith("Acme ")}
    assert known.keys() > turns.street.variables.keys() - {"AI_PROVIDER"}
    assert all(each["description"] for each in known.values())
    assert [name for name, each in known.items() if each["secret"]] == [
        "ACME_CUTOUTS_KEY",
        "ACME_SHELF_KEY",
        "ACME_SHOP_TOKEN",
    ]
    with running_api(settings) as url, httpx.Client(base_url=url) as api:
        health = api.get("/health").json()
        assert health["providers"]["acme-cutouts"] == "connected"
        assert health["targets"]["acme-shop"] == "connected"
        (job,) = api.get("/api/jobs").json()["jobs"]
        page = api.get(f"/jobs/{job['id']}").text
        assert all(name in page for name in ("acme-shelf", "acme-cutouts", "acme-shop"))


# --- what stops a photo --------------------------------------------------------------------


@pytest.fixture
def made(
    request: pytest.FixtureRequest,
    street: Street,
    outside: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A Photopipe of one photo more, with other settings."""
    street.studio.bills.clear()
    street.shop.products.clear()
    street.shop.add_product("A jug", "JUG")
    with world(
        tmp_path, monkeypatch, **street.variables, **request.param, SHOPIFY_STORE=""
    ) as made:
        yield made
    street.studio.closed = False


@pytest.mark.parametrize("made", [{"COST_LIMIT_DAILY_USD": "0.05"}], indirect=True)
def test_the_budget_stops_it(made: World, street: Street):
    key = made.announce("JUG", photo_of_a_mug(2))
    assert not made.materialize([key]).success
    assert made.ledger.jobs.require(key.job_id).error_code is ErrorCode.COST_LIMIT_ERROR
    assert street.studio.bills == [Decimal("0.03")] == [made.ledger.spending.total()]


@pytest.mark.parametrize("made", [{"BREAKER_FAILURES": "1"}], indirect=True)
def test_a_studio_that_is_down_is_not_asked_again_and_people_are_told_what_to_do(
    made: World, street: Street
):
    key = made.announce("JUG", photo_of_a_mug(2))
    street.studio.closed = True
    assert not made.materialize([key]).success
    assert [breaker.name for breaker in made.ledger.breakers.down()] == ["acme-cutouts.cutouts"]
    assert list(httpx.get(f"{made.api_url}/health").json()["down"]) == ["acme-cutouts.cutouts"]
    page = httpx.get(f"{made.api_url}/jobs/{key.job_id}").text
    assert "is down" in page
    # A service that is down is no fault of the key; one that refuses may be.
    assert "ACME_CUTOUTS_KEY" not in page
    refused = advice_on(ErrorCode.API_ERROR, {"provider": "acme-cutouts", "status": 401})
    assert "Acme's key is ACME_CUTOUTS_KEY." in refused


@pytest.mark.parametrize("made", [{}], indirect=True)
def test_a_shop_that_refuses_has_its_own_advice(made: World):
    assert "Photos come in from Acme Shelf and 3JMS" in httpx.get(f"{made.api_url}/").text
    key = made.announce("NOTHING", photo_of_a_mug(2))
    assert not made.materialize([key]).success
    said = CliRunner().invoke(app, ["status", key.job_id])
    assert "0 products of the Acme shop have the SKU 'NOTHING'" in " ".join(said.stdout.split())
    job = made.ledger.jobs.require(key.job_id)
    assert "In the Acme shop, look at the product" in advice_on(
        ErrorCode.SHOPIFY_ERROR, job.error_details
    )


# --- nothing is known of them ---------------------------------------------------------------


def test_the_package_names_none_of_them():
    for path in (ROOT / "photopipe_dagster").rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert b"acme" not in path.read_bytes().lower(), path
