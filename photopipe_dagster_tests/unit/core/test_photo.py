import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey, Stage

SHA = "0123456789abcdef" * 4
printable = st.text(min_size=1, max_size=40).filter(lambda sku: sku.isprintable() and sku.strip())


def test_keys_are_laid_out_as_designed():
    key = PhotoKey("VWS200433868", SHA, "default")
    assert key.partition_key == f"VWS200433868/{SHA}/default"
    assert key.object_key(Stage.ORIGINAL) == f"originals/VWS200433868/{SHA}.jpg"
    assert key.object_key(Stage.MASK) == f"masks/VWS200433868/{SHA}.png"
    assert key.object_key(Stage.BACKGROUND) == f"backgrounds/default/VWS200433868/{SHA}_1.jpg"
    assert key.object_key(Stage.COMPOSITE, 3) == f"composites/default/VWS200433868/{SHA}_3.jpg"
    with pytest.raises(ValueError, match="the shop"):
        key.object_key(Stage.SHOPIFY_MEDIA)


@given(printable)
def test_any_sku_comes_back_from_its_partition_key(sku: str):
    try:
        key = PhotoKey(sku, SHA, "luxury")
    except PhotoRejectedError:
        assert len(sku.encode()) * 3 > 255, "only its length may stop a printable SKU"
        return
    assert PhotoKey.parse(key.partition_key) == key
    parts = key.object_key(Stage.COMPOSITE).split("/")
    assert len(parts) == 4
    assert not {".", "..", ""} & set(parts)
    assert "..." not in key.partition_key


@given(printable, printable)
def test_two_skus_never_share_a_key(one: str, other: str):
    def key(sku: str) -> str:
        return PhotoKey(f"A{sku[:20]}", SHA, "default").partition_key

    assert (key(one) == key(other)) == (one[:20] == other[:20])


@pytest.mark.parametrize(
    ("sku", "encoded"),
    [
        ("A#2 B", "A%232%20B"),
        ("../etc/passwd", "%2E%2E%2Fetc%2Fpasswd"),
        (".", "%2E"),
        ("a...b", "a%2E%2E.b"),
        ("v1.2", "v1.2"),
        ("100%", "100%25"),
        ("Größe", "Gr%C3%B6%C3%9Fe"),
    ],
)
def test_odd_skus_are_encoded_reversibly(sku: str, encoded: str):
    key = PhotoKey(sku, SHA, "default")
    assert key.partition_key == f"{encoded}/{SHA}/default"
    assert PhotoKey.parse(key.partition_key).sku == sku


@pytest.mark.parametrize(
    ("sku", "sha256", "theme", "says"),
    [
        ("", SHA, "default", "empty"),
        ("   ", SHA, "default", "empty"),
        ("x" * 300, SHA, "default", "300 characters"),
        ("ü" * 100, SHA, "default", "percent-encoded"),
        ("a\nb", SHA, "default", "printed"),
        ("a\ud800b", SHA, "default", "printed"),
        ("A", "xyz", "default", "hexadecimal"),
        ("A", SHA.upper(), "default", "hexadecimal"),
        ("A", SHA + "0", "default", "hexadecimal"),
        ("A", "abc12", "default", "hexadecimal"),
        ("A", SHA, "Luxury!", "theme"),
        ("A", SHA, "../x", "theme"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(sku, sha256, theme, says):
    with pytest.raises(PhotoRejectedError, match=says):
        PhotoKey(sku, sha256, theme)


@pytest.mark.parametrize(
    "partition", ["", "a", "a/b", f"A/{SHA}/default/x", f"a b/{SHA}/default", f"%41/{SHA}/default"]
)
def test_a_partition_made_by_hand_is_refused(partition: str):
    with pytest.raises(PhotoRejectedError):
        PhotoKey.parse(partition)


def test_the_job_id_is_the_same_everywhere():
    key = PhotoKey("A#1", SHA, "default")
    assert key.job_id == PhotoKey.parse(key.partition_key).job_id == "dbpjuevanfrbwduf"
    assert len(key.job_id) == 16
