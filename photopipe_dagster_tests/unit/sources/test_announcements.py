from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.sources.announcements import read_announcement, read_listed
from photopipe_dagster.sources.base import Announcement, Malformed
from photopipe_dagster.sources.redaction import without_secrets

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
GOOD = {"sku": "A 1#2", "imageUrl": "https://photos.example/1.jpg?sig=hush", "sha256": DIGEST}


def test_all_fields_of_a_webhook_are_read():
    read = read_announcement(
        GOOD | {"takenAt": "2026-11-01T13:00:00+01:00", "theme": "kitchen", "brand": "ignored"}
    )
    assert read.sku == "A 1#2"
    assert read.ref == GOOD["imageUrl"]
    assert read.sha256 == DIGEST
    assert read.taken_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert read.taken_at.utcoffset() == timedelta(0)
    assert read.theme == "kitchen"


@pytest.mark.parametrize("url", ["imageUrl", "image_url", "url"])
@pytest.mark.parametrize("digest", ["sha256", "hash"])
@pytest.mark.parametrize(
    ("taken", "updated"), [("takenAt", "updatedAt"), ("taken_at", "updated_at")]
)
def test_every_name_of_a_field_is_understood(url, digest, taken, updated):
    moment = "2026-11-01T12:00:00Z"
    read = read_announcement(
        {"sku": "A", url: "https://a.example/1", digest: DIGEST, taken: moment, updated: moment}
    )
    assert (read.ref, read.sha256) == ("https://a.example/1", DIGEST)
    assert read.taken_at == read.updated_at == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_digest_is_lower_cased():
    assert read_announcement(GOOD | {"sha256": DIGEST.upper()}).sha256 == DIGEST


def test_what_is_optional_may_be_absent_or_null():
    bare = read_announcement({"sku": "A", "url": "https://a.example/1"})
    assert bare == read_announcement(
        {"sku": "A", "url": "https://a.example/1", "sha256": None, "takenAt": None, "theme": None}
    )
    assert bare.sha256 is None


def test_a_moment_without_offset_is_utc():
    read = read_announcement(GOOD | {"takenAt": "2026-11-01T12:00:00"})
    assert read.taken_at == datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sku", None),
        ("sku", 200433868),
        ("sku", ""),
        ("sku", "x" * 300),
        ("sku", "\ud800"),
        ("sku", ["A"]),
        ("imageUrl", None),
        ("imageUrl", ""),
        ("imageUrl", {"href": "https://a.example"}),
        ("imageUrl", "https://a.example/" + "x" * 5000),
        ("sha256", "abc123def456..."),
        ("sha256", "zz" * 32),
        ("sha256", DIGEST + "0"),
        ("sha256", "abc12"),
        ("sha256", 12345678),
        ("theme", 7),
    ],
)
def test_what_is_wrong_is_named(field, value):
    with pytest.raises(PhotoRejectedError) as caught:
        read_announcement(GOOD | {field: value})
    assert f"{field}: " in caught.value.message
    assert "hush" not in caught.value.message


@pytest.mark.parametrize(
    "value", ["", " ", "yesterday", 1793534400, True, [], "0001-01-01T00:00:00+14:00", "\ud83e"]
)
@pytest.mark.parametrize("field", ["takenAt", "taken_at", "updatedAt", "updated_at"])
def test_an_optional_moment_that_cannot_be_read_is_left_out_with_a_warning(field, value):
    read = read_announcement(GOOD | {field: value})
    assert (read.sku, read.taken_at, read.updated_at) == (GOOD["sku"], None, None)
    assert read.warnings == (
        f"{field}: must be a moment in ISO 8601, such as 2026-11-01T12:00:00Z; it is left out.",
    )


@pytest.mark.parametrize(
    "value", ["2026-11-01t12:00:00z", "2026-11-01T12:00:00z", " 2026-11-01t13:00:00+01:00 "]
)
def test_a_moment_may_have_small_letters(value):
    read = read_announcement(GOOD | {"takenAt": value, "updatedAt": value})
    assert read.taken_at == read.updated_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("value", "height"),
    [(25, 25.0), (0.5, 0.5), (0, None), (-1, None), (9000, None), ("25", None), (True, None)],
)
def test_a_height_is_read_or_left_out_with_a_warning(value, height):
    read = read_announcement(GOOD | {"heightCm": value})
    assert read.height_cm == height
    assert bool(read.warnings) is (height is None)
    assert all("heightCm: must be centimetres" in warning for warning in read.warnings)


def test_all_faults_are_named_at_once():
    with pytest.raises(
        PhotoRejectedError, match=r"sku: is missing; imageUrl: is missing; sha256: must"
    ):
        read_announcement({"sha256": "odd"})


@pytest.mark.parametrize("item", [None, [], "text", 7, True])
def test_only_an_object_can_be_a_photo(item):
    with pytest.raises(PhotoRejectedError, match="JSON object"):
        read_announcement(item)


def test_an_announcement_is_frozen_and_does_not_show_its_url():
    read = read_announcement(GOOD)
    assert "hush" not in repr(read)
    with pytest.raises(FrozenInstanceError):
        read.sku = "other"


def test_a_listed_photo_without_its_digest_is_malformed():
    entry = read_listed({"sku": "A", "url": "https://a.example/1.jpg?sig=hush"})
    assert isinstance(entry, Malformed)
    assert entry.reason == "sha256: is missing; a photo is known by the SHA-256 of its bytes."
    assert entry.shown == {"sku": "A", "url": "https://a.example/1.jpg"}


def test_a_malformed_entry_keeps_what_can_be_shown():
    entry = read_listed(
        {
            "sku": 7,
            "url": "https://a.example/1.jpg?sig=hush#more",
            "size": float("nan"),
            "odd": "a\x00b\ud800",
            "list": [1],
            "updatedAt": "2026-11-01T12:00:00Z",
        }
    )
    assert isinstance(entry, Malformed)
    assert "sku: " in entry.reason
    assert entry.updated_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert entry.shown == {
        "sku": 7,
        "url": "https://a.example/1.jpg",
        "size": "(a number)",
        "odd": "a\\u0000b\\ud800",
        "list": "(a list)",
        "updatedAt": "2026-11-01T12:00:00Z",
    }


@pytest.mark.parametrize("item", [None, "https://a.example/?sig=hush", [1], {"updatedAt": "soon"}])
def test_a_malformed_entry_of_any_kind_is_a_value(item):
    entry = read_listed(item)
    assert isinstance(entry, Malformed)
    assert entry.updated_at is None
    assert "hush" not in str(entry.shown)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("sku", "url", "sha256", "takenAt", "updated_at"), _json)
    )
)
def test_nothing_that_json_can_say_breaks_the_reader(item):
    assert isinstance(read_listed(item), Announcement | Malformed)
    assert len(str(without_secrets(item))) < 10_000
