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
        ("LAGER#02/33cl", "LAGER#02/33cl"),
        ("A#2 B", "A#2 B"),
        ("../etc/passwd", "../etc/passwd"),
        (".", "."),
        ("a...b", "a%2E%2E%2Eb"),
        ("a....", "a%2E%2E%2E."),
        ("v1.2", "v1.2"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("Größe", "Größe"),
        (" a,[b]* ", "%20a%2C%5Bb%5D%2A%20"),
        ('6" \\ "x\'', "6%22 %5C %22x%27"),
    ],
)
def test_only_what_dagster_reads_is_escaped_in_partition_keys(sku: str, encoded: str):
    key = PhotoKey(sku, SHA, "default")
    assert key.partition_key == f"{encoded}/{SHA}/default"
    assert PhotoKey.parse(key.partition_key).sku == sku


@pytest.mark.parametrize(
    ("sku", "stored"), [("../etc/passwd", "%2E%2E%2Fetc%2Fpasswd"), (".", "%2E"), ("A#2", "A%232")]
)
def test_an_odd_sku_is_one_folder_of_the_store(sku: str, stored: str):
    assert PhotoKey(sku, SHA, "default").object_key(Stage.MASK) == f"masks/{stored}/{SHA}.png"


def test_a_partition_of_an_earlier_version_is_the_same_photo_and_keeps_its_name():
    key = PhotoKey("LAGER#02/33cl", SHA, "default")
    earlier = PhotoKey.parse(f"LAGER%2302%2F33cl/{SHA}/default")
    assert earlier == key
    assert hash(earlier) == hash(key)
    assert earlier.job_id == key.job_id
    assert earlier.partition_key == f"LAGER%2302%2F33cl/{SHA}/default"
    assert key.partition_key == f"LAGER#02/33cl/{SHA}/default"


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
    "partition", ["", "a", "a/b", f"A/{SHA}/default/x", f"%ff/{SHA}/default", f"%41/{SHA}/default"]
)
def test_a_partition_made_by_hand_is_refused(partition: str):
    with pytest.raises(PhotoRejectedError):
        PhotoKey.parse(partition)


def test_the_job_id_is_the_same_everywhere():
    key = PhotoKey("A#1", SHA, "default")
    assert key.job_id == PhotoKey.parse(key.partition_key).job_id == "dbpjuevanfrbwduf"
    assert len(key.job_id) == 16
