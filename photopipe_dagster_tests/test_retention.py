from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.definitions import defs
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.resources import PhotopipeResource
from photopipe_dagster.retention import Pruned, Retention
from photopipe_dagster.sensors import photo_dispatch
from photopipe_dagster_tests.world import World, photo_of_a_mug, world


def retention(shop: World, days: int = 30, intermediates_days: int | None = None) -> Retention:
    return Retention(
        shop.instance, shop.ledger, shop.store, days=days, intermediates_days=intermediates_days
    )


def age(shop: World, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let time pass."""
    now = shop.ledger.database.now
    monkeypatch.setattr(shop.ledger.database, "now", lambda: now() + timedelta(days=days))


def partitions(shop: World) -> list[str]:
    return list(shop.instance.get_dynamic_partitions("photos"))


def test_what_is_finished_leaves_dagster_and_comes_back_when_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG", "BOWL")
        done = shop.announce("MUG", photo_of_a_mug(1))
        waiting = shop.announce("BOWL", photo_of_a_mug(2))
        assert shop.materialize([done]).success
        shop.instance.add_dynamic_partitions("photos", [waiting.partition_key, "made by hand"])
        spent, charges = shop.ledger.spending.total(), len(shop.charges())
        assert retention(shop).prune(dry_run=False) == Pruned(), "nothing is old yet"

        age(shop, monkeypatch, 31)
        would = retention(shop).prune(dry_run=True)
        assert would == Pruned(partitions=1, runs=1)
        assert len(partitions(shop)) == 3, "a dry run changes nothing"
        assert retention(shop).prune(dry_run=False) == would
        assert partitions(shop) == [waiting.partition_key, "made by hand"]
        assert shop.instance.get_runs() == []
        assert retention(shop).prune(dry_run=False) == Pruned(), "there is no more"
        job = shop.ledger.jobs.require(done.job_id)
        assert (job.status, shop.ledger.spending.total()) == (JobStatus.DONE, spent)

        shop.ledger.jobs.begin(done, "somebody", again=True)
        shop.ledger.jobs.hand_back([done.job_id], "somebody")
        context = dg.build_sensor_context(
            instance=shop.instance, resources={"photopipe": PhotopipeResource()}, definitions=defs
        )
        result = photo_dispatch(context)
        assert isinstance(result, dg.SensorResult)
        (added,) = result.dynamic_partitions_requests or ()
        assert added.partition_keys == [done.partition_key]
        assert shop.materialize([done]).success
        assert len(shop.charges()) == charges, "nothing is bought again"
        assert shop.media() == 1, "nothing is published again"


def test_a_run_that_still_shows_something_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG")
        key = shop.announce("MUG", photo_of_a_mug(1))
        assert shop.materialize([key]).success
        age(shop, monkeypatch, 31)
        shop.ledger.jobs.unpublished(key.job_id)  # somebody had to do with it just now
        assert retention(shop).prune(dry_run=False) == Pruned()


def test_intermediates_leave_only_where_no_job_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG", "BOWL")
        mug, bowl = (
            shop.announce(sku, photo_of_a_mug(number)) for number, sku in enumerate(("MUG", "BOWL"))
        )
        assert shop.materialize([mug, bowl]).success
        shop.announce("BOWL", photo_of_a_mug(1), theme="kitchen")  # needs the cut-out
        age(shop, monkeypatch, 31)
        done = retention(shop, days=365, intermediates_days=30).prune(dry_run=False)
        assert (done.partitions, done.objects) == (0, 2)
        assert done.bytes > 0
        keys = [info.key.split("/") for info in shop.store.list("")]
        left = {f"{folder}/{rest[-2]}" for folder, *rest in keys}
        assert left == {
            "originals/MUG",
            "originals/BOWL",
            "masks/BOWL",
            "backgrounds/BOWL",
            "composites/MUG",
            "composites/BOWL",
        }
