"""What both object stores promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.storage.base import ObjectStore

KEY = PhotoKey("ITEM #2/2012 ..750ML%", "ab" * 32, "pastel").object_key(Stage.COMPOSITE)


def test_nothing_is_there_at_first(store: ObjectStore) -> None:
    assert store.head(KEY) is None
    assert store.get(KEY) is None
    assert list(store.list("")) == []


def test_what_was_put_comes_back(store: ObjectStore) -> None:
    metadata = {"recipe": "f" * 64, "model": "u2netp 1"}
    before = datetime.now(UTC) - timedelta(seconds=2)
    put = store.put(KEY, b"\xff\xd8picture", content_type="image/jpeg", metadata=metadata)
    found = store.get(KEY)
    assert found is not None
    assert found.data == b"\xff\xd8picture"
    assert found.info == store.head(KEY)
    for info in (put, found.info):
        assert (info.key, info.size, info.content_type) == (KEY, 9, "image/jpeg")
        assert info.metadata == metadata
        assert before < info.modified < datetime.now(UTC) + timedelta(seconds=2)


def test_a_put_replaces_bytes_type_and_metadata(store: ObjectStore) -> None:
    store.put(KEY, b"old", content_type="image/jpeg", metadata={"recipe": "1", "model": "a"})
    store.put(KEY, b"newer", content_type="image/png", metadata={"recipe": "2"})
    found = store.get(KEY)
    assert found is not None
    assert found.data == b"newer"
    assert found.info.content_type == "image/png"
    assert found.info.metadata == {"recipe": "2"}


def test_the_same_bytes_may_get_other_metadata(store: ObjectStore) -> None:
    for recipe in "12":
        store.put(KEY, b"same", content_type="image/png", metadata={"recipe": recipe})
        info = store.head(KEY)
        assert info is not None
        assert info.metadata == {"recipe": recipe}


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("reports/empty.csv", b"", content_type="text/csv")
    found = store.get("reports/empty.csv")
    assert found is not None
    assert (found.data, found.info.size) == (b"", 0)


def test_delete_removes_and_may_be_repeated(store: ObjectStore) -> None:
    store.put(KEY, b"x", content_type="image/jpeg")
    store.delete(KEY)
    assert store.head(KEY) is None
    store.delete(KEY)
    store.delete("never/there.png")


def test_list_is_in_order_of_the_keys(store: ObjectStore) -> None:
    keys = ["masks/a/1.png", "masks/a-b/1.png", "masks/a.png", "masks/a0", "masks/é/1", "n"]
    for key in reversed(keys):
        store.put(key, key.encode(), content_type="image/png")
    expected = sorted(keys, key=str.encode)
    assert [info.key for info in store.list("")] == expected
    assert [info.size for info in store.list("")] == [len(key.encode()) for key in expected]
    assert [info.key for info in store.list("masks/")] == expected[:-1]
    assert [info.key for info in store.list("masks/a")] == expected[:-2]
    assert [info.key for info in store.list("masks/a/")] == ["masks/a/1.png"]
    assert list(store.list("masks/a/1.png/")) == []
    assert list(store.list("other/")) == []
    assert all(info.modified.tzinfo for info in store.list(""))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/",
        "a/../b",
        "..",
        "./a",
        "a\0b",
        "\ud800",
        ".photopipe/objects/a",
        ".photopipe",
        "a/" * 600 + "a",
    ],
)
def test_a_key_that_could_escape_is_refused(store: ObjectStore, key: str) -> None:
    calls = [
        lambda: store.head(key),
        lambda: store.get(key),
        lambda: store.put(key, b"", content_type="image/png"),
        lambda: store.delete(key),
        lambda: store.presign_get(key, 60),
        lambda: store.presign_put(key, 60, content_type="image/png"),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="The object key") as raised:
            call()
        assert not raised.value.retryable


@pytest.mark.parametrize("prefix", ["/", "../", "a/../../", "a\0", ".photopipe/"])
def test_a_prefix_that_could_escape_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(StorageError):
        list(store.list(prefix))


@pytest.mark.parametrize("metadata", [{"Recipe": "1"}, {"": "1"}, {"a b": "1"}, {"a": "x" * 2048}])
def test_metadata_that_some_store_would_change_is_refused(
    store: ObjectStore, metadata: dict[str, str]
) -> None:
    with pytest.raises(StorageError, match="metadata") as raised:
        store.put(KEY, b"", content_type="image/png", metadata=metadata)
    assert not raised.value.retryable
    assert store.head(KEY) is None


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_metadata_value_survives(store: ObjectStore, value: str) -> None:
    store.put(KEY, b"x", content_type="image/png", metadata={"note": value})
    info = store.head(KEY)
    assert info is not None
    assert info.metadata == {"note": value}


def test_threads_do_not_disturb_each_others_keys(store: ObjectStore) -> None:
    # Many writers of one key are S3's own promise, and beyond the simulator, which then answers
    # 500; the local store's promise is tested beside it.
    def cycle(number: int) -> bool:
        key = f"originals/sku/{number}.jpg"
        store.put(key, b"%d" % number, content_type="image/jpeg")
        found = store.get(key)
        return found is not None and found.data == b"%d" % number

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(cycle, range(50)))
    assert len(list(store.list("originals/"))) == 50


def test_check_passes_and_leaves_nothing(store: ObjectStore) -> None:
    store.check()
    assert list(store.list("")) == []


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_url_must_be_valid_for_some_time(store: ObjectStore, seconds: int) -> None:
    with pytest.raises(ValueError, match="at least 1 second"):
        store.presign_get(KEY, seconds)
