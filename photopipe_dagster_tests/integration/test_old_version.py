"""What lived yesterday lives on: this code opens what an earlier version left, and goes on with it.

The data are real: `old_version` has that version's own code make them, over stand-ins whose books
say afterwards what was bought and published, and what twice.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import dagster as dg
import httpx
import pytest
import typer
from alembic.script import ScriptDirectory
from sqlalchemy import text

# All that is taken of the package, in one place.
from photopipe_dagster.api.app import create_app
from photopipe_dagster.cli import app as command_line
from photopipe_dagster.core.photo import STAGES, PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger.database import MIGRATIONS
from photopipe_dagster.ledger.stats.rollups import Rollups
from photopipe_dagster.runtime.configuration import variables
from photopipe_dagster.runtime.services import shared_ledger
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster.sources.threejms.plugin import POLLING
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.old_version.addresses import addresses
from photopipe_dagster_tests.old_version.build import OldData, build
from photopipe_dagster_tests.old_version.daemon import instigators, look_at_sensors
from photopipe_dagster_tests.support.dispatching import move_clock, run, tick
from photopipe_dagster_tests.support.postgres import new_database
from photopipe_dagster_tests.support.world import SECRET, World, running_api

PARTITIONS: Final = "photos"

DONE: Final = ("done 1", "done 2", "done 3", "done in another theme", "done of the batch")
STOPPED: Final = ("cancelled", "rejected")
"""Roles of photos that people stopped: nothing takes them up by itself."""

FINISHED: Final = {
    "killed after buying": (),
    "for review": (),
    "stopped between stages": ("mystic",),
    "failed, to be retried": ("mystic",),
    "failed for good": ("remove_background", "mystic"),
    "waits for the service": ("remove_background", "mystic"),
    "sent out to no run": ("remove_background", "mystic"),
    "new": ("remove_background", "mystic"),
    "begun outside": ("remove_background", "mystic"),
    "waiting for the batch MUG-3": ("mystic",),
    "waiting for the batch MUG-4": ("mystic",),
}
"""Roles of photos that are finished now, and what has to be bought for that."""

STATUSES: Final = {
    **dict.fromkeys((*DONE, "unpublished"), "DONE"),
    "for review": "SHOPIFY_PUSH",
    "killed after buying": "BG_GENERATING",
    "stopped between stages": "BG_GENERATING",
    "sent out to no run": "QUEUED",
    "new": "NEW",
    "begun outside": "QUEUED",
    "failed, to be retried": "FAILED",
    "failed for good": "FAILED",
    "waits for the service": "FAILED",
    "cancelled": "FAILED",
    "rejected": "FAILED",
}
"""How jobs read, by role."""

HOURS_LATER: Final = 2 * 3600
"""Seconds until dead runs are known to be dead, and failed photos are due."""


@dataclass(frozen=True)
class Books:
    """What the stand-ins have sold and shown.

    Args:
        bought: Calls that were charged, by operation.
        media: On the shop's products.
        files: In the shop.
    """

    bought: Counter[str]
    usd: Decimal
    media: int
    files: int

    @classmethod
    def of(cls, shop: World) -> Books:
        """The books as they are now."""
        state = shop.sandbox.state
        charges = list(state.freepik.charges)
        return cls(
            Counter(charge.operation for charge in charges),
            sum((charge.usd for charge in charges), Decimal(0)),
            shop.media(),
            len(state.shopify.files),
        )


@dataclass(frozen=True)
class Opened:
    """Old data, opened by this code.

    Args:
        views: By role, what the API showed of the jobs at first.
        known: By stage, partitions that Dagster's home knew to be materialized at first.
    """

    old: OldData
    shop: World
    views: Mapping[str, Mapping[str, Any]]
    partitions: tuple[str, ...]
    known: Mapping[str, set[str]]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the old version knew at its end."""
        return self.old.facts

    def key(self, role: str) -> PhotoKey:
        """The photo of a role."""
        job = self.facts["jobs"][role]
        return PhotoKey(job["sku"], job["sha256"], job["theme"])

    def api(self, secret: str | None = None) -> httpx.Client:
        """A client of the API, with a token or without."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.shop.api_url, headers=headers, trust_env=False)

    def views_now(self) -> dict[str, dict[str, Any]]:
        """By role, what the API shows of the jobs; what waits for a batch has none."""
        with self.api(self.facts["secret"]) as api:
            answers = {
                role: api.get(f"/api/jobs/{job['id']}") for role, job in self.facts["jobs"].items()
            }
        return {role: answer.json() for role, answer in answers.items() if answer.is_success}

    def run_due(self) -> list[dg.RunRequest]:
        """One tick of dispatching, and the runs that it asks for."""
        requests = tick(self.shop.instance, PhotopipeResource())
        for request in requests:
            run(self.shop.instance, request)
        return requests


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    """Old data in files, and in Postgres."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(SandboxConfig(webhook_secret=SECRET)))
        environment = {
            "FREEPIK_API_URL": sandbox.freepik_url,
            "FREEPIK_API_KEY": sandbox.config.freepik_key,
            "SHOPIFY_STORE": sandbox.shopify_url,
            "SHOPIFY_ACCESS_TOKEN": sandbox.config.shopify_token,
            "THREEJMS_API_URL": sandbox.threejms_url,
            "THREEJMS_API_KEY": sandbox.config.threejms_key,
            "THREEJMS_WEBHOOK_SECRET": SECRET,
            "IMAGE_URL_ALLOWED_HOSTS": sandbox.url.removeprefix("http://"),
        }
        dagster_url = None
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server")
            environment["DATABASE_URL"] = stack.enter_context(new_database(server))
            dagster_url = stack.enter_context(new_database(server))
        folder = tmp_path_factory.mktemp(f"old-{request.param}")
        old = build(folder, environment, dagster_url=dagster_url)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in old.environment.items():
            patch.setenv(name, value)
        settings = Settings(_env_file=None)
        stack.callback(shared_ledger(settings).close)
        instance = stack.enter_context(dg.DagsterInstance.get())
        url = stack.enter_context(running_api(settings))
        shop = World(settings, sandbox, instance, url)
        known = {stage.value: shop.materialized(stage.value) for stage in STAGES}
        partitions = tuple(instance.get_dynamic_partitions(PARTITIONS))
        found = Opened(old, shop, {}, partitions, known)
        yield Opened(old, shop, found.views_now(), partitions, known)


@dataclass(frozen=True)
class Later:
    """What came of it when life went on.

    Args:
        views: By role, what the API shows of the jobs then.
        ticks: How many more ticks each sensor had after one look of Dagster's daemon.
    """

    before: Books
    after: Books
    views: Mapping[str, Mapping[str, Any]]
    ticks: Mapping[str, int]


@pytest.fixture(scope="module")
def later(opened: Opened) -> Later:
    """People decide what waits for them, hours go by, and Dagster's daemon looks again."""
    shop, facts = opened.shop, opened.facts
    before = Books.of(shop)
    shop.stock("MUG-8")
    with opened.api(facts["secret"]) as api:
        job_id = opened.key("failed for good").job_id
        api.post(f"/api/jobs/{job_id}/retry").raise_for_status()
    shop.ledger.reviews.approve(opened.key("for review").job_id, by="ann")
    move_clock(shop.ledger, HOURS_LATER)
    look_at_sensors(shop.instance, facts["definitions"]["module"], facts["definitions"]["location"])
    ticks = {
        name: len(shop.instance.get_ticks(known["origin_id"], known["selector_id"]))
        - known["ticks"]
        for name, known in facts["dagster"]["sensors"].items()
    }
    for _ in range(5):  # services that were down are tried first, and dead runs' photos retried
        move_clock(shop.ledger, HOURS_LATER)
        if not opened.run_due():
            break
    return Later(before, Books.of(shop), opened.views_now(), ticks)


# --- it is read as it was ----------------------------------------------------------------


def test_the_ledger_has_this_versions_schema(opened: Opened):
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    row = opened.shop.ledger.database.one(text("SELECT version_num FROM alembic_version"))
    assert row is not None
    assert row[0] == head


def test_every_job_reads_as_it_was(opened: Opened):
    for role, expected in STATUSES.items():
        assert opened.views[role]["status"] == expected, role
    was = {role: job["view"] for role, job in opened.facts["jobs"].items() if job["view"]}
    assert opened.views.keys() == was.keys()
    for role, view in was.items():
        now = opened.views[role]
        if role == "killed after buying":  # it was worked on after it was written down
            view = {name: view[name] for name in ("id", "sku", "sha256", "theme", "createdAt")}
        elif role in STOPPED:
            told = ("id", "sku", "sha256", "theme", "createdAt", "failedAt", "s3Keys", "costs")
            view = {name: view[name] for name in (*told, "errorMessage", "retryAt")}
        assert {name: now[name] for name in view} == view, role


def test_photos_have_the_ids_and_partitions_that_they_had(opened: Opened):
    for role, job in opened.facts["jobs"].items():
        key = opened.key(role)
        assert (key.job_id, key.partition_key) == (job["id"], job["partition"])
        assert PhotoKey.parse(job["partition"]) == key


def test_the_ledgers_figures_are_kept(opened: Opened):
    ledger, figures = opened.shop.ledger, opened.facts["ledger"]
    assert ledger.watermarks.get(POLLING.watermark) == figures["watermark"] is not None
    assert figures["down"] == ["freepik.cutouts"]
    since = datetime.fromisoformat(figures["since"])
    days = {begins for begins, *_ in figures["sums"]}
    sums = [
        [each.begins.isoformat(), each.measure.value, each.name, each.count, str(each.amount)]
        for each in Rollups(ledger.database).sums(since, by_hour=False)
    ]
    assert sorted(each for each in sums if each[0] in days) == sorted(figures["sums"])
    # The last photo's background was bought after that was written down.
    bought = ledger.spending.of_job(opened.key("killed after buying").job_id)[1]
    assert bought.amount == Decimal("0.05")
    lost, _ = ledger.spending.lost()
    assert ledger.spending.total() - lost == Books.of(opened.shop).usd


def test_the_token_and_the_link_are_still_good(opened: Opened):
    for secret in (None, "pp_nobodys"):
        with opened.api(secret) as api:
            assert api.get("/api/jobs").status_code == 401
    with opened.api(opened.facts["secret"]) as api:
        assert api.get("/api/jobs").status_code == 200
    with opened.api() as browser:
        assert browser.get("/jobs").status_code != 200
        assert browser.post("/login", data={"token": opened.facts["secret"]}).status_code == 303
        assert browser.get("/jobs").status_code == 200
    with opened.api() as browser:
        # Sessions are kept in the ledger since: people sign in once more.
        browser.cookies.update(opened.facts["cookies"])
        assert browser.get("/jobs").status_code == 303
        picture = browser.get(opened.facts["link"])
    assert picture.headers["content-type"] == "image/jpeg"
    composite = opened.facts["jobs"]["done 1"]["view"]["s3Keys"]["composite"]
    assert picture.content == opened.shop.store.get(composite).data


def test_dagsters_home_is_known(opened: Opened):
    home = opened.facts["dagster"]
    assert opened.partitions[: len(home["partitions"])] == tuple(home["partitions"])
    for stage, partitions in home["materialized"].items():
        assert opened.known[stage] >= set(partitions), stage
        for role in DONE:
            assert opened.key(role).partition_key in opened.known[stage], stage
    graph = defs.get_repository_def().asset_graph
    for key in graph.asset_check_keys:
        storage = opened.shop.instance.event_log_storage
        found = storage.get_asset_check_execution_history(key, limit=100)
        assert len(found) >= home["checks"].get(key.name, 0)
    assert {name for name, count in home["checks"].items() if count} == {
        "cutout_quality",
        "picture_quality",
    }
    assert set(home["runs"]) <= {each.run_id for each in opened.shop.instance.get_runs()}
    key = opened.key("done 1")
    picture = defs.load_asset_value(
        "composite", partition_key=key.partition_key, instance=opened.shop.instance
    )
    assert picture == opened.shop.store.get(opened.views["done 1"]["s3Keys"]["composite"]).data


def test_what_the_code_defines_has_the_names_by_which_dagsters_home_knows_it(opened: Opened):
    was = opened.facts["definitions"]
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    assert {job.name for job in repository.get_all_jobs()} >= set(was["jobs"])
    assert {key.to_user_string() for key in graph.asset_check_keys} >= set(was["checks"])
    assert {node.name for node in defs.resolve_job_def("photos").nodes} == set(was["ops"])
    for name, partitions in was["assets"].items():
        node = graph.get(dg.AssetKey.from_user_string(name))
        assert getattr(node.partitions_def, "name", None) == partitions, name
    # Ids are of the code location's name, the repository's and the sensor's or schedule's own.
    now = instigators(opened.shop.instance, was["module"], was["location"])
    assert {name: [*now[name]] for name in was["instigators"]} == was["instigators"]
    assert was["instigators"].keys() >= {"photo_dispatch", "threejms_poll", "alerts"}
    assert set(opened.facts["dagster"]["sensors"]) == {"photo_dispatch", "threejms_poll", "alerts"}


# --- it is neither bought nor published again --------------------------------------------


def test_what_is_done_is_found_and_not_bought_again(opened: Opened):
    shop = opened.shop
    before = Books.of(shop)
    # Those of one run stand side by side, so they are a range.
    for roles in (DONE[:-1], DONE[-1:]):
        result = shop.materialize([opened.key(role) for role in roles])
        assert result.success
        made = [
            event.step_materialization_data.materialization
            for event in result.all_events
            if event.event_type_value == "ASSET_MATERIALIZATION"
        ]
        assert {each.partition for each in made} == {
            opened.key(role).partition_key for role in roles
        }
        anew = {
            (each.asset_key.to_user_string(), each.partition)
            for each in made
            if not each.metadata["reused"].value
        }
        # Its scene mirrors the product less since: composed anew, which is free.
        luxury = {
            opened.key(role).partition_key for role in roles if opened.key(role).theme == "luxury"
        }
        assert anew == {(name, key) for name in ("composite", "shopify_media") for key in luxury}
        assert len(made) == len(STAGES) * len(roles)
    after = Books.of(shop)
    assert (after.bought, after.usd, after.media) == (before.bought, before.usd, before.media)


def test_what_is_sent_out_again_is_found_and_not_bought_again(opened: Opened, later: Later):
    for role in DONE:
        opened.shop.ledger.transitions.publish_again(opened.key(role).job_id)
    assert opened.run_due()
    views = opened.views_now()
    assert {views[role]["status"] for role in DONE} == {"DONE"}
    for role in DONE:
        if opened.key(role).theme != "luxury":
            assert views[role]["shopifyMediaId"] == opened.views[role]["shopifyMediaId"]
        assert views[role]["costs"] == opened.views[role]["costs"]
    now = Books.of(opened.shop)
    assert (now.bought, now.usd, now.media) == (
        later.after.bought,
        later.after.usd,
        later.after.media,
    )


def test_a_poll_finds_nothing_new_on_the_shelf(opened: Opened):
    """The cursor is old: the sensor asks, from the old watermark on."""
    jobs = opened.shop.ledger.jobs
    before = jobs.stats().total
    context = dg.build_sensor_context(
        instance=opened.shop.instance,
        resources={"photopipe": PhotopipeResource()},
        repository_def=defs.get_repository_def(),
        cursor="0",
    )
    (said,) = defs.get_sensor_def("threejms_poll")(context)
    assert " 0 new" in said.skip_message
    assert jobs.stats().total == before


# --- it goes on --------------------------------------------------------------------------


def test_everything_under_way_is_finished_and_nothing_else_is_bought(opened: Opened, later: Later):
    for role in FINISHED:
        view = later.views[role]
        assert view["status"] == "DONE", f"{role}: {view['errorMessage']}"
    needed = Counter(operation for bought in FINISHED.values() for operation in bought)
    assert later.after.bought - later.before.bought == needed
    assert later.after.media - later.before.media == len(FINISHED)
    ledger = opened.shop.ledger
    lost, discarded = ledger.spending.lost()
    assert ledger.spending.total() - lost == later.after.usd
    assert discarded == 0


def test_what_a_killed_process_had_bought_is_fetched(opened: Opened, later: Later):
    job_id = opened.key("killed after buying").job_id
    spends = opened.shop.ledger.spending.of_job(job_id)
    assert [(spend.stage.value, spend.state.value) for spend in spends] == [
        ("mask", "charged"),
        ("background", "charged"),
    ]
    assert later.views["killed after buying"]["costs"]["total"] == 0.07
    runs = opened.shop.instance.get_runs()
    assert all(each.is_finished for each in runs), "the dead run holds no place in the queue"


def test_what_people_stopped_stays_stopped(opened: Opened, later: Later):
    for role in STOPPED:
        assert later.views[role]["status"] == STATUSES[role]
        assert later.views[role]["retryAt"] is None
    unpublished = later.views["unpublished"]
    assert (unpublished["status"], unpublished["shopifyMediaId"]) == ("DONE", None)


def test_the_batch_goes_on_to_its_end(opened: Opened, later: Later):
    batch = opened.shop.ledger.batches.require(opened.facts["batch"])
    assert (batch.state, batch.waiting, batch.total) == ("ended", 0, 3)
    assert {status.value: count for status, count in batch.by_status.items() if count} == {
        "DONE": 3
    }


def test_the_service_that_was_down_is_tried_and_trusted_again(opened: Opened, later: Later):
    assert opened.shop.ledger.breakers.down() == []


def test_sensors_go_on_where_they_were(opened: Opened, later: Later):
    """Dagster's daemon writes their ticks where it did, and gives them their cursors."""
    assert later.ticks["photo_dispatch"] == later.ticks["threejms_poll"] == 1
    was = opened.facts["dagster"]["sensors"]
    states = {each.instigator_name: each for each in opened.shop.instance.all_instigator_state()}
    assert states.keys() >= was.keys()
    for name, known in was.items():
        assert states[name].selector_id == known["selector_id"]
    poll = was["threejms_poll"]
    assert states["threejms_poll"].instigator_data.cursor == poll["cursor"] is not None
    (last,) = opened.shop.instance.get_ticks(poll["origin_id"], poll["selector_id"], limit=1)
    assert "Next poll in" in last.tick_data.skip_reason


def test_a_stopped_photo_is_taken_up_when_a_person_wants_it(opened: Opened, later: Later):
    before = Books.of(opened.shop)
    with opened.api(opened.facts["secret"]) as api:
        for role in STOPPED:
            api.post(f"/api/jobs/{opened.key(role).job_id}/retry").raise_for_status()
    opened.run_due()
    views = opened.views_now()
    assert views["cancelled"]["status"] == "DONE"
    assert views["rejected"]["status"] == "SHOPIFY_PUSH", "a person looks at it anew"
    bought = Books.of(opened.shop).bought - before.bought
    assert bought == {"remove_background": 1, "mystic": 1}


# --- it is called as it was --------------------------------------------------------------


def test_every_variable_of_the_environment_still_means_something(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
):
    variables = opened.facts["settings"]
    for name in {*variables["samples"], *opened.old.environment}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables["base"].items():
        monkeypatch.setenv(name, value)
    plain = _read()
    unread = []
    for name, value in variables["samples"].items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            if _read() == plain:
                unread.append(name)
    assert unread == []
    assert len(variables["samples"]) > 90


def _read() -> dict[str, Any]:
    settings = Settings(_env_file=None)
    return {
        variable.name: getattr(variable.holder(settings), variable.field)
        for variable in variables()
    }


def test_every_address_of_the_api_is_still_served(opened: Opened):
    app = create_app(opened.shop.settings, opened.shop.ledger, object_store(opened.shop.settings))
    served = addresses(app)
    assert {(method, path) for method, path in opened.facts["addresses"]} <= served
    assert {("POST", "/api/webhooks/3jms/images"), ("GET", "/gallery")} <= served


def test_every_command_and_option_still_exists(opened: Opened):
    root = typer.main.get_command(command_line)
    for words in opened.facts["commands"]:
        command: Any = root
        for word in words:
            if word.startswith("--"):
                options = {option for each in command.params for option in each.opts}
                assert word in options, words
            else:
                assert word in command.commands, words
                command = command.commands[word]


def test_modules_that_files_of_deployments_name_still_exist(opened: Opened):
    assert set(opened.facts["modules"]) >= {
        "photopipe_dagster.definitions",
        "photopipe_dagster.postgres_storage",
    }
    for module in opened.facts["modules"]:
        importlib.import_module(module)
