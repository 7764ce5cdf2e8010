"""The main job end to end: real HTTP simulators, real ledger, real Dagster instance."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        yield shop


def test_twenty_photos_of_which_two_cannot_work(shop: World):
    """18 DONE, 2 FAILED with the right codes, and Dagster knows exactly which."""
    keys = []
    for number in range(20):
        sku, data = f"SKU-{number}", photo_of_a_mug(number)
        if number != 7:
            shop.stock(sku)
        if number == 13:
            data = data[: len(data) // 2]
        keys.append(shop.announce(sku, data))
    result = shop.materialize(keys)

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "2 of 20 photos failed" in str(failure.event_specific_data)
    unknown, truncated = keys[7], keys[13]
    stats = shop.ledger.jobs.stats()
    assert stats.by_status[JobStatus.DONE] == 18
    failed = {job.key: job for job in shop.ledger.jobs.find(JobQuery((JobStatus.FAILED,)), limit=9)}
    assert failed.keys() == {unknown, truncated}
    assert failed[unknown].error_code is ErrorCode.SHOPIFY_ERROR
    assert failed[truncated].error_code is ErrorCode.VALIDATION_ERROR
    assert all(job.retry_at is None for job in failed.values())

    everything = {key.partition_key for key in keys}
    assert everything - shop.materialized("original") == {truncated.partition_key}
    for asset in ("mask", "background", "composite", "shopify_media"):
        assert everything - shop.materialized(asset) == {
            truncated.partition_key,
            unknown.partition_key,
        }
    # Neither the photo that nobody can sell nor the truncated one has cost anything.
    assert stats.total_cost == 18 * Decimal("0.07")
    assert sum(charge.usd for charge in shop.charges()) == stats.total_cost
    assert shop.media() == 18


def test_doing_it_again_pays_and_publishes_nothing(shop: World):
    shop.stock("A", "B")
    keys = [shop.announce("A", photo_of_a_mug(1)), shop.announce("B", photo_of_a_mug(2))]
    assert shop.materialize(keys).success
    bill, media = len(shop.charges()), shop.media()
    assert (bill, media) == (4, 2)
    again = shop.materialize(keys)
    assert again.success
    assert (len(shop.charges()), shop.media()) == (bill, media)
    reused = [
        event.step_materialization_data.materialization.metadata["reused"].value
        for event in again.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
    ]
    assert reused == [True] * 10
    assert {job.status for job in shop.ledger.jobs.find(JobQuery(), limit=9)} == {JobStatus.DONE}


def test_facts_are_the_same_in_dagster_whether_a_picture_was_made_or_found(shop: World):
    shop.sandbox.state.shopify.add_product("1984", skus=["A"])
    key = shop.announce("A", photo_of_a_mug(1))
    seen = []
    for _ in range(2):
        events = shop.materialize([key]).all_events
        seen.append(
            {
                (event.asset_key.to_user_string(), name): value
                for event in events
                if event.event_type_value == "ASSET_MATERIALIZATION"
                for name, value in event.materialization.metadata.items()
            }
        )
    made, found = seen
    # A title is text, whatever it reads like; what is counted or measured is a number.
    assert made["shopify_media", "product_title"] == dg.TextMetadataValue("1984")
    assert made["mask", "width"] == dg.IntMetadataValue(240)
    assert isinstance(made["composite", "scale"], dg.FloatMetadataValue)
    for fact, value in made.items():
        if fact[1] not in {"cost_usd", "reused", "seconds", "picture"}:
            assert found[fact] == value, fact


def test_a_second_theme_shares_the_cutout(shop: World):
    shop.stock("A")
    data = photo_of_a_mug(1)
    keys = [shop.announce("A", data, theme) for theme in ("default", "luxury", "kitchen")]
    assert shop.materialize(keys).success
    bought = sorted(charge.operation for charge in shop.charges())
    assert bought.count("remove_background") == 1
    assert len(bought) == 4
    assert shop.ledger.spending.total() == Decimal("0.02") + 3 * Decimal("0.05")
    assert shop.media() == 3


def test_the_sku_is_matched_exactly_among_near_ones(shop: World):
    shop.stock("ITEM #2 750ML", "ITEM #2 750ML X", "ITEM #22 750ML", "item #2 750ml")
    key = shop.announce("ITEM #2 750ML", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    (product,) = [p for p in shop.sandbox.state.shopify.products.values() if p.media_ids]
    assert product.title == "Product ITEM #2 750ML"


def test_a_stage_alone_is_made_and_the_rest_follows_by_itself(shop: World):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key], ["original", "mask"]).success
    assert shop.materialized("mask") == {key.partition_key}
    assert shop.materialized("background") == set()
    (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=50, limit=50)
    assert dispatch.keys == (key,)
    assert shop.materialize([key]).success
    assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE
    assert len(shop.charges()) == 2


def test_a_stage_without_what_it_needs_says_so(shop: World):
    key = shop.announce("A", photo_of_a_mug(1))
    assert not shop.materialize([key], ["composite"]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.status is JobStatus.FAILED
    assert "Materialize mask" in job.error_message


def test_a_partition_that_nobody_announced_fails_with_what_to_do(shop: World):
    key = PhotoKey("A", "0" * 64, "default")
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.error_code is ErrorCode.VALIDATION_ERROR
    assert "photopipe submit" in job.error_message


def test_a_partition_made_by_hand_is_refused(shop: World):
    shop.instance.add_dynamic_partitions("photos", ["nonsense"])
    result = defs.resolve_job_def("photos").execute_in_process(
        instance=shop.instance, partition_key="nonsense", raise_on_error=False
    )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "sku/sha256/theme" in str(failure.event_specific_data)


def test_photos_are_done_beside_a_partition_made_by_hand(shop: World):
    shop.stock("A", "B")
    keys = [shop.announce("A", photo_of_a_mug(1)), shop.announce("B", photo_of_a_mug(2))]
    names = [keys[0].partition_key, "nonsense", keys[1].partition_key]
    shop.instance.add_dynamic_partitions("photos", names)
    result = shop.materialize(keys)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "'nonsense' is no photo" in str(failure.event_specific_data)
    assert shop.materialized("shopify_media") == {key.partition_key for key in keys}


def test_bytes_that_are_not_those_announced_are_refused(shop: World):
    key = shop.announce("A", photo_of_a_mug(1), sha256="0" * 64)
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.error_code is ErrorCode.VALIDATION_ERROR
    assert job.error_details["true"] == hashlib.sha256(photo_of_a_mug(1)).hexdigest()
    assert shop.charges() == []


def test_a_short_claim_is_checked_as_a_prefix(shop: World):
    shop.stock("A")
    data = photo_of_a_mug(1)
    key = shop.announce("A", data, sha256=hashlib.sha256(data).hexdigest()[:12])
    assert shop.materialize([key]).success


def test_what_is_stored_and_what_dagster_shows(shop: World):
    shop.stock("A #1")
    data = photo_of_a_mug(1)
    key = shop.announce("A #1", data, "luxury")
    result = shop.materialize([key])
    assert result.success

    assert shop.store.get(key.object_key(Stage.ORIGINAL)).data == data
    for stage in (Stage.MASK, Stage.BACKGROUND, Stage.COMPOSITE):
        assert shop.store.head(key.object_key(stage)).metadata["recipe"]
    metadata = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
    }
    assert metadata.keys() == {stage.value for stage in STAGES}
    for stage, shown in metadata.items():
        assert shown["sku"].value == "A #1"
        assert shown["picture"].value.startswith(f"![{stage}](data:image/")
        assert len(shown["picture"].value) < 20_000
    assert metadata["mask"]["cost_usd"].value == 0.02
    assert metadata["background"]["cost_usd"].value == 0.05
    assert metadata["mask"]["width"].value == 240
    assert metadata["mask"]["provider"].value == "freepik"
    assert metadata["composite"]["key"].value == key.object_key(Stage.COMPOSITE)
    assert metadata["shopify_media"]["media_id"].value.startswith("gid://shopify/MediaImage/")
    composite = defs.load_asset_value(
        "composite", partition_key=key.partition_key, instance=shop.instance
    )
    assert composite == shop.store.get(key.object_key(Stage.COMPOSITE)).data


def test_no_secret_and_no_signed_url_in_dagsters_log(shop: World, capfd, caplog):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    result = shop.materialize([key])
    logs = shop.instance.all_logs(result.run_id)
    said = "".join(str(entry) for entry in logs) + caplog.text + "".join(capfd.readouterr())
    for secret in (
        shop.sandbox.config.freepik_key,
        shop.sandbox.config.shopify_token,
        "signature=",
        "hmac=",
    ):
        assert secret not in said


def test_a_provider_that_is_down_leaves_photos_to_be_tried_again(shop: World):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    shop.sandbox.state.faults.add(
        Fault(match="freepik.mystic.create", kind="status", status=500, times=1)
    )
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.status is JobStatus.FAILED
    assert job.retry_at is not None
    # Nobody knows whether the 500 was billed: it counts, and it is bought again only now.
    assert job.background_cost == Decimal("0.05")
    assert shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert shop.materialize([key]).success
    assert shop.ledger.jobs.require(key.job_id).background_cost == Decimal("0.10")


def test_definitions_are_what_they_are_meant_to_be():
    repository = defs.get_repository_def()
    assert {key.path[-1] for key in repository.asset_graph.get_all_asset_keys()} >= {
        stage.value for stage in STAGES
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "photo_dispatch",
        "threejms_poll",
        "bucket_poll",
        "folder_poll",
        "alerts",
        "events",
        "scenes",
    }
    graph = repository.asset_graph
    assert graph.get(dg.AssetKey("composite")).parent_keys == {
        dg.AssetKey("mask"),
        dg.AssetKey("background"),
    }
    for stage in STAGES:
        node = graph.get(dg.AssetKey(stage.value))
        assert node.group_name in {"photo", "scene", "shop"}
        assert node.kinds
        assert node.owners == ["team:photopipe"]
        assert node.description


def test_without_a_shop_the_run_fails_and_no_photo_is_touched(shop: World, monkeypatch):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    monkeypatch.setenv("SHOPIFY_STORE", "")
    result = shop.materialize([key])
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "set SHOPIFY_STORE" in str(failure.event_specific_data)
    assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE
