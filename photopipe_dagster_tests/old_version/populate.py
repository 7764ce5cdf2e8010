"""Fills a shop as that version leaves it, and dies in the middle of the last photo.

Run by `build` with the code of `build.COMMIT`. It imports that code's modules by the names that
they had then: leave them as they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import dagster as dg
import httpx
import typer
import yaml
from photopipe_dagster.backfills import InTheme, plan
from photopipe_dagster.ledger.hours import Hours
from photopipe_dagster.ledger.spending import SpendState
from photopipe_dagster.photo import STAGES, PhotoKey
from photopipe_dagster.price_changes import EXAMPLE
from photopipe_dagster.sensors import DISPATCH_TAG
from photopipe_dagster.services import open_services, shared_ledger
from photopipe_dagster.settings import Settings
from photopipe_dagster.unpublishing import unpublish
from pydantic import AliasChoices, ValidationError

from photopipe_dagster.api.app import create_app
from photopipe_dagster.cli import app as command_line
from photopipe_dagster.definitions import defs
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster.ledger.watermarks import LAST_3JMS_POLL
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.old_version.addresses import addresses
from photopipe_dagster_tests.old_version.daemon import instigators, look_at_sensors
from photopipe_dagster_tests.world import World, _running_api, photo_of_a_mug

FACTS: Final = "facts.json"

TREE: Final = Path(__file__).resolve().parents[2]
"""Where that version's code is."""

COPIED: Final = ("dagster.yaml", "workspace.yaml", "compose.yaml", "values.yaml", "*.service")
"""Files of the deployment that people have copied, and that name modules."""

PAST: Final = timedelta(days=2)

_NAMED_SAMPLES: Final = {
    "DATABASE_URL": "sqlite:///elsewhere.db",
    "SHOPIFY_STORE": "elsewhere.myshopify.com",
    "SHOPIFY_API_VERSION": "2026-07",
    "THREEJMS_PHOTOS_PATH": "/pictures",
    "ALERT_EMAIL_TO": "ann@shop.example",
    "ALERT_EMAIL_FROM": "photos@shop.example",
    "DEFAULT_THEME": "luxury",
    "SUPPORTED_THEMES": "default,luxury",
    "APPROVAL_REQUIRED": "luxury",
    "PRICE_CHANGES": EXAMPLE,
}

_SAMPLES: Final = ("https://elsewhere.example", "70", "false", "true")
"""Values to set other variables to, beside those that their types name; each takes one of them."""


class Shop:
    """That version at work: its ledger, its store, its instance of Dagster and its API."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.settings = settings
        self.instance = instance
        self.ledger = shared_ledger(settings)
        _, self.secret = self.ledger.tokens.create("ann", [Scope.ADMIN])
        sandbox = str(settings.threejms_api_url).removesuffix("/threejms")
        self.sandbox = httpx.Client(base_url=f"{sandbox}/_sandbox", timeout=30, trust_env=False)
        token = {"Authorization": f"Bearer {self.secret}"}
        self.api = httpx.Client(base_url=settings.base_url, headers=token, trust_env=False)
        # Of the old tests' world, only what it does with partitions is needed here.
        self.world = World(settings, None, instance, settings.base_url)  # type: ignore[arg-type]
        self.keys: dict[str, PhotoKey] = {}

    def post(self, path: str, **sent: Any) -> Any:
        """Tell the sandbox something."""
        answer = self.sandbox.post(path, **sent)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def stock(self, *skus: str) -> None:
        """Products of the shop, one for each SKU."""
        for sku in skus:
            self.post("/shopify/products", json={"title": f"Product {sku}", "skus": [sku]})

    def break_once(self, operation: str) -> None:
        """Let the next request of a kind fail."""
        self.post("/faults", json={"match": operation, "kind": "status", "status": 500})

    def announce(self, role: str, sku: str, number: int, theme: str = "default") -> PhotoKey:
        """Take a photo and announce it by webhook.

        Args:
            role: What is to become of it, by which the tests know it.
        """
        data = photo_of_a_mug(number)
        key = self.keys[role] = PhotoKey(sku, hashlib.sha256(data).hexdigest(), theme)
        files = {"file": ("photo.jpg", data, "image/jpeg")}
        photo = self.post("/threejms/photos", data={"sku": sku}, files=files)
        target = f"{self.settings.base_url}/api/webhooks/3jms/images"
        order = {"target": target, "photo_ids": [photo["id"]], "theme": theme}
        (pushed,) = self.post("/threejms/push", json=order)
        if pushed["status"] != 201:
            raise RuntimeError(f"The webhook of {role} was answered with {pushed['status']}.")
        return key

    def expect(self, role: str, status: str, **facts: object) -> None:
        """Stop here if a job is not what the tests are told that it is."""
        job = self.ledger.jobs.require(self.keys[role].job_id)
        found = {name: getattr(job, name) for name in facts}
        if job.status != status or found != facts:
            raise RuntimeError(
                f"{role} is {job.status} {found}, not {status} {facts}: {job.error_message}"
            )


def main() -> None:
    """Make everything, write down what there is, and die."""
    folder = Path(sys.argv[1])
    settings = Settings(_env_file=None)
    # From the start: the API seals hours that are over as soon as it is up.
    database = shared_ledger(settings).database
    clock = database.now
    database.now = lambda: clock() - PAST
    with dg.DagsterInstance.get() as instance, _running_api(settings):
        shop = Shop(instance, settings)
        _two_days_ago(shop)
        database.now = clock
        _people(shop)
        batch_id = _batch(shop)
        under_way, _ = _dispatched(shop)
        _failures(shop)
        _at_rest(shop)
        _service_down(shop)
        app = create_app(settings, shop.ledger, object_store(settings))
        facts = {
            "secret": shop.secret,
            **_visit(shop),
            "batch": batch_id,
            "jobs": _jobs(shop),
            "ledger": _figures(shop),
            "dagster": _home(instance),
            "definitions": _definitions(instance),
            "settings": _variables(),
            "modules": sorted(_copied_modules()),
            "addresses": sorted(addresses(app)),
            "commands": sorted(_commands(typer.main.get_command(command_line), ())),
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=1, default=str))
        _die_after_buying(shop, under_way)


# --- what happens ------------------------------------------------------------------------


def _two_days_ago(shop: Shop) -> None:
    """Photos come in by webhook, the daemon looks, and runs bring them to their end."""
    shop.stock("MUG-1", "MUG-2", "MUG-3", "MUG-4")
    for number in (1, 2, 3):
        shop.announce(f"done {number}", f"MUG-{number}", number)
    shop.announce("done in another theme", "MUG-1", 1, "luxury")
    shop.announce("unpublished", "MUG-4", 4)
    shop.announce("for review", "MUG-2", 2, "kitchen")
    shop.announce("rejected", "MUG-3", 3, "kitchen")
    look_at_sensors(shop.instance, *_workspace())
    for role in ("done 1", "done 2", "done 3", "done in another theme", "unpublished"):
        shop.expect(role, "DONE")
    for role in ("for review", "rejected"):
        shop.expect(role, "SHOPIFY_PUSH", review="waiting")


def _people(shop: Shop) -> None:
    """A person rejects a picture, and takes another one off its product."""
    shop.ledger.reviews.reject(shop.keys["rejected"].job_id, by="ann", reason="It is too dark.")

    async def take_off() -> None:
        async with open_services(shop.settings) as services:
            client = services.require_shopify()
            job_id = shop.keys["unpublished"].job_id
            await unpublish(shop.settings, shop.ledger, client, job_id)

    asyncio.run(take_off())
    shop.expect("rejected", "FAILED", retry_at=None)
    shop.expect("unpublished", "DONE", shopify_media_id=None)


def _batch(shop: Shop) -> str:
    """A backfill, of which one photo is done and the others wait."""
    store = object_store(shop.settings)
    planned = plan(shop.settings, shop.ledger, store, InTheme("luxury"))
    batch = shop.ledger.batches.start(
        planned.selection.keys, what=planned.selection.what, by="ann", estimate=planned.cost
    )
    shop.ledger.batches.release(1)
    for key in planned.selection.keys:
        gone = shop.ledger.jobs.get(key.job_id) is not None
        shop.keys["done of the batch" if gone else f"waiting for the batch {key.sku}"] = key
    shop.world.materialize([shop.keys["done of the batch"]])
    shop.expect("done of the batch", "DONE")
    return batch.id


def _dispatched(shop: Shop) -> list[tuple[PhotoKey, str]]:
    """Two photos that are sent out: one for a run that begins later, one for a run that never does.

    The first has its cut-out already: by then, nobody makes one.
    """
    sent = []
    for number, role in ((5, "killed after buying"), (6, "sent out to no run")):
        shop.stock(f"MUG-{number}")
        key = shop.announce(role, f"MUG-{number}", number)
        if not sent:
            shop.world.materialize([key], ["original", "mask"])
        (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
        sent.append((key, dispatch.id))
        status = "QUEUED" if sent[1:] else "BG_GENERATING"
        shop.expect(role, status, dispatch_id=dispatch.id, run_id=None)
    return sent


def _failures(shop: Shop) -> None:
    """A photo that is tried again in an hour, and one that is not."""
    shop.stock("MUG-7")
    shop.break_once("freepik.mystic.create")
    shop.world.materialize([shop.announce("failed, to be retried", "MUG-7", 7)])
    shop.expect("failed, to be retried", "FAILED", error_code="API_ERROR", waits_for=None)
    shop.world.materialize([shop.announce("failed for good", "MUG-8", 8)])
    shop.expect("failed for good", "FAILED", error_code="SHOPIFY_ERROR", retry_at=None)


def _service_down(shop: Shop) -> None:
    """One service does not answer any more: what needs it waits."""
    shop.stock("MUG-9")
    os.environ["BREAKER_FAILURES"] = "1"
    shop.break_once("freepik.remove_background")
    shop.world.materialize([shop.announce("waits for the service", "MUG-9", 9)])
    shop.expect("waits for the service", "FAILED", waits_for="freepik.cutouts")
    del os.environ["BREAKER_FAILURES"]


def _at_rest(shop: Shop) -> None:
    """Photos that are stopped, that nobody has taken up, and that others have."""
    shop.stock("MUG-10", "MUG-11", "MUG-12", "MUG-13")
    key = shop.announce("stopped between stages", "MUG-10", 10)
    shop.world.materialize([key], ["original", "mask"])
    shop.expect("stopped between stages", "BG_GENERATING", run_id=None)
    shop.ledger.jobs.cancel(shop.announce("cancelled", "MUG-11", 11).job_id, by="ann")
    shop.expect("cancelled", "FAILED", retry_at=None)
    shop.announce("new", "MUG-12", 12)
    shop.expect("new", "NEW")
    job_id = shop.announce("begun outside", "MUG-13", 13).job_id
    shop.api.post(f"/api/jobs/{job_id}/start").raise_for_status()
    shop.expect("begun outside", "QUEUED", run_id="outside")


def _die_after_buying(shop: Shop, under_way: tuple[PhotoKey, str]) -> None:
    """Work on a photo until its background is ordered and paid, and be killed."""
    key, dispatch_id = under_way

    def kill() -> None:
        while not any(
            spend.state is SpendState.SUBMITTED and spend.reference
            for spend in shop.ledger.spending.of_job(key.job_id)
        ):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    os.environ["FREEPIK_POLL_SECONDS"] = "600"
    shop.instance.add_dynamic_partitions("photos", [key.partition_key])
    threading.Thread(target=kill, daemon=True).start()
    defs.resolve_job_def("photos").execute_in_process(
        instance=shop.instance,
        partition_key=key.partition_key,
        tags={DISPATCH_TAG: dispatch_id},
        raise_on_error=False,
    )
    raise RuntimeError("The run ended before its background was submitted.")


# --- what there is then ------------------------------------------------------------------


def _visit(shop: Shop) -> dict[str, object]:
    """What people keep of a visit: the cookies of a session, and a link to a picture."""
    with httpx.Client(base_url=shop.settings.base_url, trust_env=False) as browser:
        browser.post("/login", data={"token": shop.secret})
        path = f"/api/jobs/{shop.keys['done 1'].job_id}/presign"
        asked = {"type": "composite", "expiresIn": 86400}
        link = browser.get(path, params=asked).raise_for_status().json()
        return {"cookies": dict(browser.cookies), "link": link["url"]}


def _jobs(shop: Shop) -> dict[str, object]:
    """Each job by its role: its photo, and what the API shows of it."""
    found: dict[str, object] = {}
    for role, key in shop.keys.items():
        answer = shop.api.get(f"/api/jobs/{key.job_id}")
        found[role] = {
            "id": key.job_id,
            "sku": key.sku,
            "sha256": key.sha256,
            "theme": key.theme,
            "partition": key.partition_key,
            "view": None if answer.status_code == 404 else answer.raise_for_status().json(),
        }
    return found


def _figures(shop: Shop) -> dict[str, object]:
    """What the ledger has added up. Hours that are over are sealed by looking at them."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=3)
    sums = Hours(shop.ledger.database).sums(since, by_hour=False)
    if not any(each.begins < midnight for each in sums):
        raise RuntimeError("Nothing is known of the days that are over.")
    return {
        "since": since.isoformat(),
        "sums": [
            [each.begins.isoformat(), each.measure.value, each.name, each.count, str(each.amount)]
            for each in sums
            if each.begins < midnight
        ],
        "watermark": shop.ledger.watermarks.get(LAST_3JMS_POLL),
        "down": [breaker.name for breaker in shop.ledger.breakers.down()],
        "total": str(shop.ledger.spending.total()),
    }


def _home(instance: dg.DagsterInstance) -> dict[str, object]:
    """What Dagster's instance knows."""
    states = instance.all_instigator_state()
    checks: dict[str, int] = {}
    for check in defs.get_repository_def().asset_graph.asset_check_keys:
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
        checks[check.name] = len(records)
    return {
        "sensors": {
            state.instigator_name: {
                "selector_id": state.selector_id,
                "origin_id": state.instigator_origin_id,
                "cursor": getattr(state.instigator_data, "cursor", None),
                "ticks": len(instance.get_ticks(state.instigator_origin_id, state.selector_id)),
            }
            for state in states
        },
        "partitions": list(instance.get_dynamic_partitions("photos")),
        "materialized": {
            stage.value: sorted(instance.get_materialized_partitions(dg.AssetKey(stage.value)))
            for stage in STAGES
        },
        "checks": checks,
        "runs": sorted(run.run_id for run in instance.get_runs()),
    }


def _definitions(instance: dg.DagsterInstance) -> dict[str, object]:
    """The names by which Dagster's home knows what the code defines."""
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    assets: dict[str, str | None] = {}
    for key in graph.get_all_asset_keys():
        assets[key.to_user_string()] = getattr(graph.get(key).partitions_def, "name", None)
    module, location = _workspace()
    return {
        "module": module,
        "location": location,
        "instigators": instigators(instance, module, location),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "assets": assets,
        "checks": sorted(key.to_user_string() for key in graph.asset_check_keys),
        "ops": sorted(node.name for node in defs.resolve_job_def("photos").nodes),
    }


def _workspace() -> tuple[str, str]:
    """What people's `workspace.yaml` loads: the module, and the name of its location."""
    workspace = yaml.safe_load((TREE / "workspace.yaml").read_text())
    loaded = workspace["load_from"][0]["python_module"]
    return str(loaded["module_name"]), str(loaded["location_name"])


def _variables() -> dict[str, object]:
    """All variables of the environment, each with a value that changes something.

    The others are those of `base`: with these, each of the samples is valid.
    """
    base = {"SMTP_HOST": "mail.example", "FREEPIK_API_KEY": "key", "THREEJMS_WEBHOOK_SECRET": "it"}
    plain = _read(base)
    samples = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias or field.upper()]
        for name in map(str, names):
            named = [_NAMED_SAMPLES[name]] if name in _NAMED_SAMPLES else []
            choices = [*named, *_choices(info.annotation), *_SAMPLES]
            tried = ((choice, _read(base | {name: choice})) for choice in choices)
            samples[name] = next(value for value, read in tried if read not in (None, plain))
    return {"base": base, "samples": samples}


def _read(variables: Mapping[str, str]) -> Settings | None:
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        return Settings(_env_file=None)
    except ValidationError:
        return None
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _choices(annotation: object) -> Iterator[str]:
    for each in get_args(annotation):
        if isinstance(each, str):
            yield each
        else:
            yield from _choices(each)


def _copied_modules() -> set[str]:
    """Modules that are named in files which people have copied."""
    files = {TREE / "dagster.yaml", TREE / "workspace.yaml"}
    files.update(file for pattern in COPIED for file in (TREE / "deploy").rglob(pattern))
    named = re.compile(r"\bphotopipe_dagster(?:\.\w+)+")
    return {found for file in files for found in named.findall(file.read_text())}


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[list[str]]:
    """Commands and their options, as words."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))
    options = [option for parameter in command.params for option in parameter.opts]
    yield [*path, *sorted(option for option in options if option.startswith("--"))]


if __name__ == "__main__":
    main()
