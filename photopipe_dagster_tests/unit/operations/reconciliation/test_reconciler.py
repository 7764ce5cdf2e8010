"""Each kind of damage is done for real, found, and repaired or left; a second look is clean."""

from __future__ import annotations

import json
from datetime import timedelta

import dagster as dg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.assets.reconciliation import CHECK
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.reconciliation.findings import DiscrepancyKind
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.world import damage
from photopipe_dagster_tests.unit.operations.reconciliation.conftest import Scene, found


@pytest.mark.parametrize("photos", [4])
def test_pictures_that_left_the_store(scene: Scene) -> None:
    store, ledger = scene.world.store, scene.world.ledger
    free, paid, lost, whole = scene.keys
    bought, published = len(scene.world.charges()), scene.world.media()
    original = store.get(lost.object_key(Stage.ORIGINAL))
    assert original is not None
    assert scene.reconcile().findings == ()

    store.delete(free.object_key(Stage.COMPOSITE))
    store.delete(paid.object_key(Stage.MASK))
    store.delete(lost.object_key(Stage.ORIGINAL))
    foreign = [
        "composites/notes.txt",
        PhotoKey("NOBODY", "ab" * 32, "default").object_key(Stage.MASK),
    ]
    for key in foreign:
        store.put(key, b"x", content_type="text/plain")

    seen = found(scene.reconcile())
    assert seen.keys() == {
        (DiscrepancyKind.PICTURE_MISSING, free.job_id),
        (DiscrepancyKind.PICTURE_MISSING, paid.job_id),
        (DiscrepancyKind.PICTURE_MISSING, lost.job_id),
        *((DiscrepancyKind.OBJECT_ORPHANED, key) for key in foreign),
    }
    assert seen[DiscrepancyKind.PICTURE_MISSING, free.job_id].repairable
    assert "0.02 USD" in seen[DiscrepancyKind.PICTURE_MISSING, paid.job_id].remedy
    assert "photopipe submit" in seen[DiscrepancyKind.PICTURE_MISSING, lost.job_id].remedy
    assert all(ledger.jobs.require(key.job_id).status is JobStatus.DONE for key in scene.keys)

    report = scene.reconcile(repair=True)
    assert [finding.subject for finding in report.findings if finding.repaired] == [free.job_id]
    assert report.needs_person
    assert ledger.jobs.require(free.job_id).status is JobStatus.QUEUED
    scene.go_on(free)
    assert (len(scene.world.charges()), scene.world.media()) == (bought, published)
    assert store.head(free.object_key(Stage.COMPOSITE)) is not None

    assert scene.world.materialize([paid], ["mask"]).success
    assert len(scene.world.charges()) == bought + 1
    store.put(original.info.key, original.data, content_type="image/jpeg")
    seen = found(scene.reconcile(repair=True))
    assert seen.keys() == {(DiscrepancyKind.OBJECT_ORPHANED, key) for key in foreign}
    assert all(store.head(key) is not None for key in foreign), "nothing is ever deleted"
    assert ledger.jobs.require(whole.job_id).status is JobStatus.DONE


@pytest.mark.parametrize("photos", [4])
def test_pictures_whose_bytes_were_damaged_in_the_store(scene: Scene) -> None:
    store = scene.world.store
    free, paid, lost, _ = scene.keys
    bought, published = len(scene.world.charges()), scene.world.media()
    for key, stage in ((free, Stage.COMPOSITE), (paid, Stage.MASK), (lost, Stage.ORIGINAL)):
        damage(scene.world, key, stage)
    assert scene.reconcile().findings == (), "only a look at all bytes can tell"

    seen = found(scene.reconcile(verify=True))
    assert seen.keys() == {
        (DiscrepancyKind.PICTURE_DAMAGED, key.job_id) for key in (free, paid, lost)
    }
    assert "--verify --repair" in seen[DiscrepancyKind.PICTURE_DAMAGED, free.job_id].remedy
    mask = paid.object_key(Stage.MASK)
    assert f"Delete {mask}" in seen[DiscrepancyKind.PICTURE_DAMAGED, paid.job_id].remedy
    assert "photopipe submit" in seen[DiscrepancyKind.PICTURE_DAMAGED, lost.job_id].remedy

    report = scene.reconcile(repair=True, verify=True)
    assert [finding.subject for finding in report.findings if finding.repaired] == [free.job_id]
    scene.go_on(free)
    assert (len(scene.world.charges()), scene.world.media()) == (bought, published)
    assert store.head(mask) is not None, "what costs money is left"
    said = CliRunner().invoke(app, ["reconcile", "--verify"])
    assert said.exit_code == 1
    assert free.job_id not in said.stdout
    assert paid.job_id in said.stdout


@pytest.mark.parametrize("photos", [4])
def test_what_people_do_in_the_shop_stays_as_they_did_it(scene: Scene) -> None:
    shop, ledger = scene.world.sandbox.state.shopify, scene.world.ledger
    off, deleted, gone, replaced = scene.keys
    scene.product(0).media_ids.clear()
    media = scene.job(1).media_id or ""
    scene.product(1).media_ids.remove(media)
    del shop.files[media]
    for number in (2, 3):
        for variant in scene.product(number).variants:
            variant.sku = "" if number == 2 else variant.sku
        del shop.products[scene.product(number).id]
    successor = shop.products[shop.add_product("Product again", skus=[replaced.sku])]
    # What is off its product and out of the store does not come back either.
    scene.world.store.delete(off.object_key(Stage.COMPOSITE))
    unpublished = scene.add("MUG-OFF")
    product = scene.product(4)
    assert CliRunner().invoke(app, ["unpublish", unpublished.job_id]).exit_code == 0
    media_id = shop.add_file(
        "http://x.test/1.jpg", f"mug-{'a' * 10}-{'b' * 12}-default-1-{'c' * 12}.jpg", ""
    ).id
    shop.files[media_id].loaded = shop.files[media_id].settled = True
    successor.media_ids.append(media_id)

    report = scene.reconcile(repair=True)
    seen = found(report)
    assert seen.keys() == {
        (DiscrepancyKind.MEDIA_TAKEN_OFF, off.job_id),
        (DiscrepancyKind.MEDIA_DELETED, deleted.job_id),
        (DiscrepancyKind.PRODUCT_GONE, gone.job_id),
        (DiscrepancyKind.PRODUCT_REPLACED, replaced.job_id),
        (DiscrepancyKind.PICTURE_MISSING, off.job_id),
    }
    assert [each.subject for each in report.findings if each.repaired] == [replaced.job_id]
    assert "photopipe unpublish" in seen[DiscrepancyKind.MEDIA_TAKEN_OFF, off.job_id].remedy
    scene.go_on(replaced)
    assert scene.job(3).product_id == successor.id
    assert len(successor.media_ids) == 2
    assert product.media_ids == []

    # Once people have said that they meant it, it is no finding; and what stands beside ours is.
    for key in (off, deleted, gone):
        assert CliRunner().invoke(app, ["unpublish", key.job_id]).exit_code == 0
    assert scene.world.materialize([off], ["composite"]).success
    seen = found(scene.reconcile(repair=True))
    assert seen.keys() == {(DiscrepancyKind.MEDIA_ORPHANED, media_id)}
    successor.media_ids.remove(media_id)
    assert scene.reconcile().findings == ()
    assert [len(each.media_ids) for each in shop.products.values()] == [0, 0, 1, 0]
    assert ledger.jobs.require(off.job_id).media_id is None


@pytest.mark.parametrize("photos", [2])
def test_what_dagster_does_not_show_is_told_to_it(scene: Scene) -> None:
    instance = scene.world.instance
    names = {key.partition_key for key in scene.keys}
    stranger = PhotoKey("NOBODY", "ab" * 32, "default").partition_key
    instance.add_dynamic_partitions("photos", [stranger, "by hand"])
    instance.report_runless_asset_event(dg.AssetMaterialization("mask", partition=stranger))
    for stage in STAGES:
        instance.wipe_assets([dg.AssetKey(stage.value)])
    scene.world.store.delete(scene.keys[0].object_key(Stage.COMPOSITE))

    report = scene.reconcile()
    seen = found(report)
    orphans = {
        (DiscrepancyKind.PARTITION_ORPHANED, stranger),
        (DiscrepancyKind.PARTITION_ORPHANED, "by hand"),
    }
    missing = {(DiscrepancyKind.MATERIALIZATION_MISSING, key.job_id) for key in scene.keys}
    assert seen.keys() == orphans | missing | {
        (DiscrepancyKind.PICTURE_MISSING, scene.keys[0].job_id)
    }
    assert not seen[DiscrepancyKind.MATERIALIZATION_MISSING, scene.keys[0].job_id].repairable
    # What is advised can be done: of these, only a photo can be made.
    assert (
        "photopipe submit FILE --sku 'NOBODY'"
        in seen[DiscrepancyKind.PARTITION_ORPHANED, stranger].remedy
    )
    by_hand = seen[DiscrepancyKind.PARTITION_ORPHANED, "by hand"].remedy
    assert by_hand == "Delete the partition in Dagster: on an asset's page, under Partitions."

    assert scene.reconcile(repair=True).repaired == len(names)  # three are told, one is made again
    scene.go_on(scene.keys[0])
    for stage in STAGES:
        assert scene.world.materialized(stage) == names
    assert found(scene.reconcile(repair=True)).keys() == orphans
    for name in (stranger, "by hand"):
        instance.delete_dynamic_partition("photos", name)
    assert scene.reconcile().findings == ()


@pytest.mark.parametrize("photos", [2])
def test_what_was_done_where_dagster_could_not_be_told_is_told_until_it_is_old(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, database = scene.world.instance, scene.world.ledger.database
    names = {key.partition_key for key in scene.keys}

    def as_if_never_shown() -> None:
        for stage in STAGES:
            instance.wipe_assets([dg.AssetKey(stage.value)])
        for name in instance.get_dynamic_partitions("photos"):
            instance.delete_dynamic_partition("photos", name)

    as_if_never_shown()
    assert found(scene.reconcile()).keys() == {
        (DiscrepancyKind.MATERIALIZATION_MISSING, key.job_id) for key in scene.keys
    }
    assert scene.reconcile(repair=True).repaired == len(names)
    assert set(instance.get_dynamic_partitions("photos")) == names
    for stage in STAGES:
        assert scene.world.materialized(stage) == names
    assert scene.reconcile().findings == ()

    as_if_never_shown()
    later = database.now() + timedelta(days=scene.world.settings.job_retention_days + 1)
    monkeypatch.setattr(database, "now", lambda: later)
    assert scene.reconcile().findings == (), "it has left Dagster, as it should"


def test_the_command_and_the_daily_run_say_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def daily() -> tuple[dg.AssetCheckEvaluation, dg.AssetMaterialization]:
        job = defs.resolve_job_def("reconciliation")
        result = job.execute_in_process(instance=scene.world.instance)
        (check,) = result.get_asset_check_evaluations()
        (event,) = result.asset_materializations_for_node("reports__reconciliation")
        return check, event

    run = CliRunner()
    clean = run.invoke(app, ["doctor", "--reconcile"])
    assert clean.exit_code == 0, clean.output
    assert "nothing is amiss" in clean.output.lower()
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("DAGSTER_HOME")
        assert "not compared with Dagster" in run.invoke(app, ["doctor", "--reconcile"]).output
    with monkeypatch.context() as patient:
        patient.setenv("RECONCILE_AFTER_SECONDS", "3600")
        young = " ".join(run.invoke(app, ["doctor", "--reconcile"]).output.split())
    assert f"{len(scene.keys)} published too lately to be judged" in young
    check, _ = daily()
    assert (check.check_name, check.passed) == (CHECK, True)

    scene.world.store.delete(scene.keys[0].object_key(Stage.COMPOSITE))
    shown = run.invoke(app, ["doctor", "--reconcile"])
    assert (shown.exit_code, scene.keys[0].job_id in shown.output) == (1, True)
    check, event = daily()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    (record,) = event.metadata["found"].records
    assert record.data["kind"] == DiscrepancyKind.PICTURE_MISSING
    assert scene.job(0).status is JobStatus.DONE, "the daily run repairs nothing by itself"

    machine = run.invoke(app, ["doctor", "--reconcile", "--repair", "--json"])
    assert machine.exit_code == 0, machine.output
    said = json.loads(machine.stdout)
    assert (said["repaired"], said["needsPerson"]) == (1, False)
    assert said["findings"][0]["subject"] == scene.keys[0].job_id
    scene.go_on(scene.keys[0])

    scene.world.store.delete(scene.keys[0].object_key(Stage.COMPOSITE))
    monkeypatch.setenv("RECONCILE_REPAIR", "true")
    check, event = daily()
    assert (check.passed, event.metadata["repaired"].value) == (True, 1)
    assert run.invoke(app, ["doctor", "--repair"]).exit_code == 1


def test_a_shop_that_does_not_say_who_has_a_sku_has_not_lost_its_product(scene: Scene) -> None:
    state = scene.world.sandbox.state
    del state.shopify.products[scene.product(0).id]
    state.faults.add(Fault(match="shopify.productVariants", kind="status", status=402, times=None))
    report = scene.reconcile(repair=True)
    assert report.findings == ()
    ((part, reason, failed),) = [(e.part, e.why, e.failed) for e in report.not_compared]
    assert (part, failed) == ("Shopify", True)
    assert "settle Shopify's bill" in reason


def test_a_shop_that_does_not_answer_is_not_an_empty_shop(scene: Scene) -> None:
    world = scene.world
    world.store.delete(scene.keys[0].object_key(Stage.COMPOSITE))
    locked_out = world.settings.model_copy(update={"shopify_access_token": SecretStr("revoked")})
    report = Reconciler(locked_out, world.ledger, world.store, world.instance).run(repair=True)
    assert [(each.part, each.failed) for each in report.not_compared] == [("Shopify", True)]
    assert report.needs_person
    ((kind, _),) = found(report)
    assert (kind, report.repaired) == (DiscrepancyKind.PICTURE_MISSING, 0), (
        "who knows whether it still stands"
    )

    nowhere = world.settings.model_copy(update={"shopify_store": None})
    alone = Reconciler(nowhere, world.ledger, world.store, None).run(repair=False)
    assert {each.part: each.failed for each in alone.not_compared} == {
        "the shop": False,
        "Dagster": False,
    }
