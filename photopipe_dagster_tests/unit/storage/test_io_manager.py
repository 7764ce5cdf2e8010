"""Loading assets by Dagster's own ways, and storing what they return."""

# Dagster reads annotations: no `from __future__ import annotations` here.
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.defs.io_manager import PictureIOManager
from photopipe_dagster.defs.resources import open_store
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.local import LocalStore

PHOTOS = [PhotoKey(f"ITEM #{n}/x", f"{n}" * 64, "pastel") for n in range(1, 4)]
KEYS = [photo.partition_key for photo in PHOTOS]
JPEG = b"\xff\xd8\xff picture"

partitions = dg.DynamicPartitionsDefinition(name="photos")


@dg.multi_asset(
    specs=[
        dg.AssetSpec(stage.value, skippable=True, partitions_def=partitions) for stage in STAGES
    ],
    can_subset=True,
)
def pictures(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
    for partition in context.partition_keys:
        yield dg.AssetMaterialization("composite", partition=partition)


@dg.asset(key=["reports", "costs"])
def costs() -> pd.DataFrame:
    return report()


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2026-10", "2026-11"]))
def cost_report(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return report(context.partition_key)


def report(month: str = "2026-11") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "month": [month, month],
            "sku": ["007", "1e5"],
            "usd": pd.Series([Decimal("0.10"), None], dtype=object),
            "photos": [1, 2],
            "share": [1 / 3, float("nan")],
            "at": pd.to_datetime(["2026-11-01T00:00:00.123456Z", "2026-11-02T00:00:00.000000Z"]),
        }
    )


def definitions(store: ObjectStore, *assets: object) -> dg.Definitions:
    return dg.Definitions(
        assets=assets or [pictures, costs, cost_report],
        resources={"io_manager": PictureIOManager(lambda: store)},
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("photos", KEYS)
        yield instance


def fill(store: ObjectStore) -> None:
    for photo in PHOTOS:
        for stage in STAGES[:4]:
            data = f"{stage} {photo}".encode()
            store.put(photo.object_key(stage), data, content_type="image/jpeg")


def test_any_picture_of_any_partition_is_loaded(
    store: ObjectStore, instance: dg.DagsterInstance
) -> None:
    fill(store)
    defs = definitions(store)
    for stage, photo in zip(STAGES[:4], [*PHOTOS, PHOTOS[0]], strict=True):
        data = defs.load_asset_value(
            stage.value, partition_key=photo.partition_key, instance=instance
        )
        assert data == f"{stage} {photo}".encode()


def test_it_is_loaded_after_a_run_that_only_yields_events(
    local: LocalStore, instance: dg.DagsterInstance
) -> None:
    fill(local)
    defs = definitions(local)
    run = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key=KEYS[0],
        asset_selection=[dg.AssetKey(stage.value) for stage in STAGES],
    )
    assert run.success
    data = defs.load_asset_value("composite", partition_key=KEYS[0], instance=instance)
    assert data == f"composite {KEYS[0]}".encode()


def test_a_picture_is_loaded_without_an_instance(local: LocalStore) -> None:
    fill(local)
    with dg.build_input_context(asset_key="mask", partition_key=KEYS[1]) as context:
        assert PictureIOManager(lambda: local).load_input(context) == f"mask {KEYS[1]}".encode()


def test_several_partitions_are_a_dict(local: LocalStore, instance: dg.DagsterInstance) -> None:
    fill(local)
    with dg.build_input_context(
        asset_key="mask",
        asset_partition_key_range=dg.PartitionKeyRange(KEYS[0], KEYS[2]),
        asset_partitions_def=partitions,
        instance=instance,
    ) as context:
        loaded = PictureIOManager(lambda: local).load_input(context)
    assert loaded == {key: f"mask {key}".encode() for key in KEYS}


def test_another_variant_may_be_asked_for(local: LocalStore) -> None:
    local.put(PHOTOS[0].object_key(Stage.COMPOSITE, 2), JPEG, content_type="image/jpeg")
    with dg.build_input_context(
        asset_key=["shop", "composite"], partition_key=KEYS[0], definition_metadata={"variant": 2}
    ) as context:
        assert PictureIOManager(lambda: local).load_input(context) == JPEG


def test_the_variant_that_the_photo_has_now_is_loaded(local: LocalStore) -> None:
    local.put(PHOTOS[0].object_key(Stage.COMPOSITE, 3), JPEG, content_type="image/jpeg")
    manager = PictureIOManager(lambda: local, {PHOTOS[0]: 3}.__getitem__)
    with dg.build_input_context(asset_key="composite", partition_key=KEYS[0]) as context:
        assert manager.load_input(context) == JPEG


@pytest.mark.parametrize(
    ("asset", "partition", "error", "message"),
    [
        ("mask", KEYS[0], LookupError, "There is no mask of ITEM #1"),
        ("shopify_media", KEYS[0], LookupError, "ledger"),
        ("mask", None, LookupError, "partition_key"),
        ("mask", "nonsense", PhotoRejectedError, "partition key"),
        ("cost_report", "2026-10", LookupError, "materialize cost_report first"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    store: ObjectStore, asset: str, partition: str | None, error: type[Exception], message: str
) -> None:
    with (
        dg.build_input_context(asset_key=asset, partition_key=partition) as context,
        pytest.raises(error, match=message),
    ):
        PictureIOManager(lambda: store).load_input(context)


def test_a_report_comes_back_exactly(local: LocalStore, instance: dg.DagsterInstance) -> None:
    defs = definitions(local)
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=instance, partition_key="2026-10", asset_selection=[dg.AssetKey("cost_report")]
    ).success
    loaded = defs.load_asset_value("cost_report", partition_key="2026-10", instance=instance)
    pd.testing.assert_frame_equal(loaded, report("2026-10"))
    csv = local.get("reports/cost_report/2026-10.csv")
    assert csv is not None
    assert csv.info.content_type == "text/csv; charset=utf-8"
    assert csv.data.decode().splitlines()[1].startswith("2026-10,007,0.10,1,0.333")


def test_a_report_without_partitions_is_the_latest(
    local: LocalStore, instance: dg.DagsterInstance
) -> None:
    assert dg.materialize(
        [costs], resources={"io_manager": PictureIOManager(lambda: local)}, instance=instance
    ).success
    assert [info.key for info in local.list("")] == [
        "reports/costs/latest.csv",
        "reports/costs/latest.parquet",
    ]
    loaded = definitions(local).load_asset_value(["reports", "costs"], instance=instance)
    pd.testing.assert_frame_equal(loaded, report())


def test_an_empty_report_is_a_report(local: LocalStore, instance: dg.DagsterInstance) -> None:
    @dg.asset
    def nothing_spent() -> pd.DataFrame:
        return report().iloc[:0]

    manager = PictureIOManager(lambda: local)
    resources = {"io_manager": manager}
    assert dg.materialize([nothing_spent], resources=resources, instance=instance).success
    with dg.build_input_context(asset_key="nothing_spent") as context:
        loaded = manager.load_input(context)
    assert list(loaded.columns) == list(report().columns)
    assert len(loaded) == 0


def returning(value: object, *, name: str = "mask") -> dg.AssetsDefinition:
    @dg.asset(name=name, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def returned() -> object:
        return value

    return returned


def materialise(store: ObjectStore, value: object, instance: dg.DagsterInstance, **options: object):
    return dg.materialize(
        [returning(value)],
        resources={"io_manager": PictureIOManager(lambda: store)},
        instance=instance,
        **({"partition_key": KEYS[0]} | options),
    )


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF....WEBP", "image/webp"),
        (b"?", "application/octet-stream"),
    ],
)
def test_a_returned_picture_is_stored(
    local: LocalStore, instance: dg.DagsterInstance, data: bytes, content_type: str
) -> None:
    assert materialise(local, data, instance).success
    found = local.get(PHOTOS[0].object_key(Stage.MASK))
    assert found is not None
    assert (found.data, found.info.content_type) == (data, content_type)


def test_returning_the_same_picture_keeps_its_recipe(
    local: LocalStore, instance: dg.DagsterInstance
) -> None:
    key = PHOTOS[0].object_key(Stage.MASK)
    before = local.put(key, JPEG, content_type="image/jpeg", metadata={"recipe": "1"})
    materialise(local, JPEG, instance)
    assert local.head(key) == before


def test_nothing_returned_is_nothing_stored(
    local: LocalStore, instance: dg.DagsterInstance
) -> None:
    assert materialise(local, None, instance).success
    assert list(local.list("")) == []


def test_a_range_returns_a_dict(local: LocalStore, instance: dg.DagsterInstance) -> None:
    tags = {
        "dagster/asset_partition_range_start": KEYS[0],
        "dagster/asset_partition_range_end": KEYS[2],
    }
    values = {key: JPEG + key.encode() for key in KEYS}
    assert materialise(local, values, instance, partition_key=None, tags=tags).success
    for photo in PHOTOS:
        found = local.get(photo.object_key(Stage.MASK))
        assert found is not None
        assert found.data == values[photo.partition_key]
    with pytest.raises(TypeError, match="3 partitions"):
        materialise(local, JPEG, instance, partition_key=None, tags=tags)


def test_other_values_are_refused(local: LocalStore, instance: dg.DagsterInstance) -> None:
    with pytest.raises(TypeError, match="stored as bytes, not as str"):
        materialise(local, "picture", instance)
    with pytest.raises(TypeError, match="must be a pandas DataFrame, not bytes"):
        dg.materialize(
            [returning(JPEG, name="poster")],
            resources={"io_manager": PictureIOManager(lambda: local)},
            instance=instance,
            partition_key=KEYS[0],
        )
    assert list(local.list("")) == []


def test_the_store_is_opened_only_when_it_is_needed(local: LocalStore) -> None:
    opened = []

    def open_store() -> ObjectStore:
        opened.append(1)
        return local

    fill(local)
    manager = PictureIOManager(open_store)
    assert opened == []
    with dg.build_input_context(asset_key="mask", partition_key=KEYS[0]) as context:
        manager.load_input(context)
    assert opened


def test_a_process_opens_the_store_of_its_environment_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "one"))
    first = open_store()
    assert open_store() is first
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "two"))
    assert open_store() is not first


def test_no_spreadsheet_calculates_a_cell_of_a_report(
    local: LocalStore, instance: dg.DagsterInstance
) -> None:
    frame = pd.DataFrame(
        {
            "sku": ["=HYPERLINK(1)", "-1", "A=1", None],
            "usd": [Decimal("-0.10"), Decimal(1), Decimal(2), Decimal(3)],
            "calls": [-1, 2, 3, 4],
        }
    )

    @dg.asset(key=["reports", "odd"])
    def odd() -> pd.DataFrame:
        return frame

    manager = {"io_manager": PictureIOManager(lambda: local)}
    assert dg.materialize([odd], resources=manager, instance=instance).success
    csv = local.get("reports/odd/latest.csv")
    assert csv is not None
    lines = csv.data.decode().splitlines()
    assert lines[1:] == ["'=HYPERLINK(1),-0.10,-1", "'-1,1,2", "A=1,2,3", ",3,4"]
    parquet = local.get("reports/odd/latest.parquet")
    assert parquet is not None
    assert pd.read_parquet(io.BytesIO(parquet.data))["sku"][0] == "=HYPERLINK(1)"
