import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.photo import STAGES, Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.ledger.jobs.leases import cutout_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.dagster_cleanup import vacuum
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.operations.retention import Pruned, Retention
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


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

        shop.ledger.transitions.begin(done, "somebody", again=True)
        shop.ledger.transitions.requeue([done.job_id], "somebody")
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
        shop.ledger.transitions.unpublished(key.job_id)  # somebody had to do with it just now
        assert retention(shop).prune(dry_run=False) == Pruned()


def test_what_dagster_itself_would_leave_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG", "BOWL")
        old, young = (
            shop.announce(sku, photo_of_a_mug(number)) for number, sku in enumerate(("MUG", "BOWL"))
        )
        assert shop.materialize([old]).success
        (run,) = shop.instance.get_runs()
        told = dg.AssetMaterialization("mask", partition=old.partition_key)
        shop.instance.report_runless_asset_event(told)
        age(shop, monkeypatch, 31)
        assert shop.materialize([young]).success
        root = Path(shop.instance.root_directory)
        assert files_of(root, run.run_id)
        assert (evaluations(root, run.run_id), evaluations(root)) == (2, 4)

        with monkeypatch.context() as killed:
            killed.setattr(shop.instance.run_storage, "delete_run", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                retention(shop).prune(dry_run=False)
        assert retention(shop).prune(dry_run=False) == Pruned(runs=1), "it is found again"
        assert files_of(root, run.run_id) == []
        assert (evaluations(root, run.run_id), evaluations(root)) == (0, 2)
        for stage in STAGES:
            assert shop.materialized(stage) == {young.partition_key}


def test_freed_room_is_used_again_or_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG")
        key = shop.announce("MUG", photo_of_a_mug())
        assert shop.materialize([key]).success
        padding = dg.AssetMaterialization(
            "mask", partition=key.partition_key, metadata={"pad": "x" * 999_999}
        )
        shop.instance.report_runless_asset_event(padding)
        age(shop, monkeypatch, 31)
        index = Path(shop.instance.root_directory) / "history" / "runs" / "index.db"
        vacuum(shop.instance)
        before = index.stat().st_size
        assert retention(shop).prune(dry_run=False).partitions == 1
        assert vacuum(shop.instance) > 900_000
        assert index.stat().st_size < before - 900_000
        assert CliRunner().invoke(app, ["prune", "--vacuum"]).exit_code == 1
        done = CliRunner().invoke(app, ["prune", "--yes", "--vacuum", "--json"])
        assert json.loads(done.stdout)["givenBack"] == 0, "there is no more"


def files_of(root: Path, run_id: str) -> list[Path]:
    """Files, below Dagster's folder, whose path names a run."""
    return [path for path in root.rglob("*") if path.is_file() and run_id in str(path)]


def evaluations(root: Path, run_id: str = "%") -> int:
    """Asset check evaluations that Dagster keeps."""
    query = "SELECT count(*) FROM asset_check_executions WHERE run_id LIKE ?"
    with closing(sqlite3.connect(root / "history" / "runs" / "index.db")) as database:
        return int(database.execute(query, [run_id]).fetchone()[0])


def test_intermediates_that_left_are_missed_by_nobody_and_cost_only_whom_they_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG")
        default = shop.announce("MUG", photo_of_a_mug())
        assert shop.materialize([default]).success
        age(shop, monkeypatch, 20)
        kitchen = shop.announce("MUG", photo_of_a_mug(), theme="kitchen")
        bought = len(shop.charges())
        assert shop.materialize([kitchen]).success
        assert len(shop.charges()) == bought + 1, "a background; the cut-out is there"

        age(shop, monkeypatch, 11)
        retention(shop, days=365, intermediates_days=30).prune(dry_run=False)
        assert list(shop.store.list("masks/")) == []
        reconciler = Reconciler(shop.settings, shop.ledger, shop.store, shop.instance)
        for repair in (False, True):
            assert reconciler.run(repair=repair).findings == ()
        assert list(shop.store.list("masks/")) == []

        luxury = shop.announce("MUG", photo_of_a_mug(), theme="luxury")
        assert shop.materialize([luxury]).success
        assert len(shop.charges()) == bought + 3, "a cut-out, for it is gone, and a background"
        assert shop.media() == 3


def test_a_cutout_that_a_run_looks_for_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG")
        key = shop.announce("MUG", photo_of_a_mug())
        assert shop.materialize([key]).success
        age(shop, monkeypatch, 31)
        shop.ledger.leases.take([cutout_lease(key)], "a run")
        assert retention(shop, 365, 30).prune(dry_run=False) == Pruned()
        shop.ledger.leases.release("a run")
        would = retention(shop, 365, 30).prune(dry_run=True)
        assert retention(shop, 365, 30).prune(dry_run=False) == would
        assert would.objects == 2


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
        named = shop.ledger.jobs.require(mug.job_id).object_keys
        assert (named[Stage.MASK], named[Stage.BACKGROUND]) == (None, None)
        assert shop.ledger.jobs.require(bowl.job_id).object_keys[Stage.MASK] is not None
        assert left == {
            "originals/MUG",
            "originals/BOWL",
            "masks/BOWL",
            "backgrounds/BOWL",
            "composites/MUG",
            "composites/BOWL",
        }
