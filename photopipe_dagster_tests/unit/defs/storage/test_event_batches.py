"""Dagster's events are stored together, and are the rows that Dagster itself would have stored."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from sqlalchemy import Connection, event, text

from photopipe_dagster.defs.storage.event_batches import EventBatches, gathered
from photopipe_dagster_tests.support.postgres import new_database

CHECKOUT = Path(__file__).resolve().parents[4]
PARTITIONS = dg.DynamicPartitionsDefinition(name="photos")
KEYS = ("a", "b", "c")


@dg.multi_asset(
    specs=[
        dg.AssetSpec(name, partitions_def=PARTITIONS, skippable=True) for name in ("one", "two")
    ],
    check_specs=[dg.AssetCheckSpec("good", asset="two")],
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def pictures(context: dg.AssetExecutionContext):
    """Report two pictures of each partition, all together."""
    with gathered(context.instance):
        for key in context.partition_keys:
            yield dg.AssetMaterialization("one", partition=key, metadata={"key": key})
            context.log.info(f"{key} has its first picture")
            yield dg.AssetMaterialization("two", partition=key)
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("two"), check_name="good", passed=True, metadata={}
        )
    yield dg.Output(None, output_name="two_good")


job = dg.Definitions(
    assets=[pictures],
    jobs=[dg.define_asset_job("make", [pictures], executor_def=dg.in_process_executor)],
).resolve_job_def("make")


def instance_of(home: Path, storage: dict[str, Any] | None) -> dg.DagsterInstance:
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(json.dumps({} if storage is None else {"storage": storage}))
    return dg.DagsterInstance.from_config(str(home))


def ours(home: Path) -> dict[str, Any]:
    """The storage as the `dagster.yaml` of the project names it."""
    storage = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())["storage"]
    storage["custom"]["config"] = {"base_dir": str(home)}
    return storage


def in_postgres(url: str) -> dict[str, Any]:
    storage = yaml.safe_load((CHECKOUT / "deploy/dagster/dagster.yaml").read_text())["storage"]
    storage["custom"]["config"] = {"postgres_url": url}
    return storage


def run(instance: dg.DagsterInstance, keys: Sequence[str] = KEYS) -> str:
    instance.add_dynamic_partitions("photos", keys)
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    result = job.execute_in_process(instance=instance, tags=tags)
    assert result.success
    return result.run_id


@pytest.fixture(params=["SQLite", "Postgres"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[dg.DagsterInstance, dg.DagsterInstance]]:
    """An instance as Dagster has it, and ours."""
    with ExitStack() as stack:
        if request.param == "SQLite":
            storages = (None, ours(tmp_path / "ours"))
        else:
            server = request.getfixturevalue("postgres_server")
            one, two = (stack.enter_context(new_database(server)) for _ in range(2))
            storages = ({"postgres": {"postgres_url": one}}, in_postgres(two))
        plain = stack.enter_context(instance_of(tmp_path / "plain", storages[0]))
        yield plain, stack.enter_context(instance_of(tmp_path / "ours", storages[1]))


def rows(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """What the tables hold of a run, without what differs between two runs."""
    storage: Any = instance.event_log_storage
    ids = {run_id: "run"}

    def of(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(ids.get(v, v) for v in row) for row in connection.execute(text(statement))]

    logged = "SELECT run_id, dagster_event_type, step_key, asset_key, partition FROM event_logs"
    with storage.run_connection(run_id) as connection:
        found: dict[str, Any] = {"run": of(connection, f"{logged} ORDER BY id")}
    with storage.index_connection() as connection:
        of_assets = "WHERE asset_key IS NOT NULL ORDER BY id"
        found["index"] = of(connection, f"{logged} {of_assets}")
        found["assets"] = of(
            connection, "SELECT asset_key, last_run_id, asset_details FROM asset_keys ORDER BY 1"
        )
        found["checks"] = of(
            connection,
            "SELECT asset_key, check_name, partition, run_id, execution_status "
            "FROM asset_check_executions ORDER BY id",
        )
    found["messages"] = [
        entry.user_message
        for entry in instance.all_logs(run_id)
        if "has its first" in entry.user_message
    ]
    for key in ("one", "two"):
        last = instance.get_latest_materialization_event(dg.AssetKey(key))
        assert last is not None
        assert last.asset_materialization is not None
        found[key] = last.asset_materialization.partition, last.asset_materialization.metadata
        found[f"{key} made"] = instance.get_materialized_partitions(dg.AssetKey(key))
    return found


def test_the_rows_are_those_that_dagster_stores(
    both: tuple[dg.DagsterInstance, dg.DagsterInstance],
):
    plain, batches = both
    assert isinstance(batches.event_log_storage, EventBatches)
    expected, found = rows(plain, run(plain)), rows(batches, run(batches))
    assert found == expected
    assert found["one made"] == set(KEYS)
    assert [kind for _, kind, *_ in found["index"]].count("ASSET_MATERIALIZATION") == 6


def test_more_photos_take_no_more_transactions(tmp_path: Path):
    with instance_of(tmp_path, ours(tmp_path)) as instance:
        run(instance)  # opens the index
        storage: Any = instance.event_log_storage
        commits: list[object] = []
        event.listen(storage._engine_of("index"), "commit", commits.append)
        taken = []
        for number in (2, 20):
            commits.clear()
            run(instance, [f"{number}-{each:02}" for each in range(number)])
            taken.append(len(commits))
        assert taken[0] == taken[1]


def test_a_batch_is_stored_whole_or_not_at_all(both: tuple[dg.DagsterInstance, dg.DagsterInstance]):
    _, batches = both
    storage: Any = batches.event_log_storage
    run_id = run(batches)
    before = rows(batches, run_id)
    entries = [entry for entry in batches.all_logs(run_id) if entry.dagster_event is not None]
    stored = storage.store_asset_check_event

    def broken(*_: Any) -> None:
        raise OSError("the disk is full")

    storage.store_asset_check_event = broken
    with pytest.raises(OSError, match="disk is full"):
        storage.store_event_batch(entries)
    storage.store_asset_check_event = stored
    assert rows(batches, run_id) == before


def test_two_runs_that_report_the_same_assets_in_another_order_do_not_block_each_other(
    both: tuple[dg.DagsterInstance, dg.DagsterInstance],
):
    _, batches = both
    storage: Any = batches.event_log_storage
    run_id = run(batches)
    entries = [
        entry
        for entry in batches.all_logs(run_id)
        if entry.dagster_event is not None and entry.dagster_event.is_step_materialization
    ]
    errors = []

    def store(ordered: list[Any]) -> None:
        try:
            for _ in range(10):
                storage.store_event_batch(ordered)
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=store, args=(each,))
        for each in (entries, entries[::-1])
        for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(batches.all_logs(run_id)) >= 40 * len(entries)


def test_events_are_stored_when_a_run_is_interrupted(tmp_path: Path):
    with instance_of(tmp_path, ours(tmp_path)) as instance:
        seen = []

        def interrupted() -> None:
            with gathered(instance):
                instance.report_runless_asset_event(dg.AssetMaterialization("one", partition="a"))
                seen.append(instance.get_materialized_partitions(dg.AssetKey("one")))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert seen == [set()]
        assert instance.get_materialized_partitions(dg.AssetKey("one")) == {"a"}


def test_another_storage_stores_events_one_by_one():
    with dg.DagsterInstance.ephemeral() as instance, gathered(instance):
        instance.report_runless_asset_event(dg.AssetMaterialization("one"))
        assert instance.get_latest_materialization_event(dg.AssetKey("one")) is not None
