"""What Dagster's own pages show of photos and their checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.defs.assets.photos import CHECK_SPECS, photos
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.quality.gates import CUTOUT_QUALITY
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.dispatching import run, tick
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        yield shop


def test_checks_that_passed_are_shown_as_passed_for_each_partition(shop: World):
    """As the tab "Partitions" of a check counts them."""
    shop.stock("A", "B")
    keys = [shop.announce("A", photo_of_a_mug(1)), shop.announce("B", photo_of_a_mug(2))]
    everything = {key.partition_key for key in keys}
    for _ in range(2):  # made, then found again
        assert shop.materialize(keys).success
        for spec in CHECK_SPECS:
            assert shown(shop.instance, spec.key) == {"SUCCEEDED": everything}, spec.name


def test_a_photo_that_failed_and_recovered_is_shown_as_passed(shop: World):
    shop.stock("A", "B")
    keys = [shop.announce("A", photo_of_a_mug(1)), shop.announce("B", photo_of_a_mug(2))]
    refused = Fault(match="freepik.remove_background", kind="status", status=400)
    shop.sandbox.state.faults.add(refused)
    assert not shop.materialize(keys).success
    seen = [shown(shop.instance, spec.key) for spec in CHECK_SPECS]
    assert [{status: len(names) for status, names in each.items()} for each in seen] == [
        {"SUCCEEDED": 1, "EXECUTION_FAILED": 1}
    ] * len(CHECK_SPECS)
    assert shop.materialize(keys).success
    for spec in CHECK_SPECS:
        everything = {"SUCCEEDED": {key.partition_key for key in keys}}
        assert shown(shop.instance, spec.key) == everything


def test_a_check_of_an_older_picture_does_not_count_for_a_newer_one(shop: World):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    newer = dg.AssetMaterialization("mask", partition=key.partition_key)
    shop.instance.report_runless_asset_event(newer)
    assert shown(shop.instance, dg.AssetCheckKey(dg.AssetKey("mask"), CUTOUT_QUALITY)) == {}


def test_a_run_whose_checks_are_reported_misses_no_output(shop: World):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    result = shop.materialize([key])
    log = shop.instance.all_logs(result.run_id)
    assert not [entry.message for entry in log if "did not yield" in entry.message]


def test_a_partition_leads_to_the_page_of_its_job(shop: World):
    shop.stock("LAGER#02/33cl")
    key = shop.announce("LAGER#02/33cl", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    assert shop.materialized("composite") == {f"LAGER#02/33cl/{key.sha256}/default"}
    made = shop.instance.get_latest_materialization_event(dg.AssetKey("composite"))
    page = dg.MetadataValue.url(f"{shop.settings.base_url}/jobs/{key.job_id}")
    assert made.asset_materialization.metadata["page"] == page


def test_a_photo_of_an_earlier_version_stays_in_its_partition(shop: World):
    shop.stock("LAGER#02/33cl")
    data = photo_of_a_mug(1)
    photo = shop.sandbox.state.threejms.add("LAGER#02/33cl", data, "image/jpeg")
    url = photo.url(shop.sandbox.threejms_url)
    named = f"LAGER%2302%2F33cl/{photo.sha256}/default"
    shop.ledger.intake.submit(PhotoKey.parse(named), "webhook", image_url=url)
    shop.instance.add_dynamic_partitions("photos", [named])
    # It is announced again, by a version that names partitions otherwise.
    shop.announce("LAGER#02/33cl", data)
    for request in tick(shop.instance, PhotopipeResource()):
        assert run(shop.instance, request).success
    assert shop.instance.get_dynamic_partitions("photos") == [named]
    assert shop.materialized("shopify_media") == {named}


def shown(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dict[str, set[str]]:
    """Partitions of a check, by status; those in none are missing."""
    with partition_loading_context(dynamic_partitions_store=instance):
        state = instance.event_log_storage.get_asset_check_state([(key, photos)])[key]
        return {
            status.value: set(subset.subset_value.get_partition_keys())
            for status, subset in state.subsets.items()
            if not subset.is_empty
        }
