"""Which SKU the name of a file means."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.sources.names import match_names

ACUTE = "CAFÉ-1"


def listed(ledger, *skus, **barcodes):
    ledger.catalogue.replace_skus(
        {"sku": sku, "barcode": barcodes.get(sku), "title": None} for sku in (*skus, *barcodes)
    )


@pytest.mark.parametrize(
    ("name", "sku"),
    [
        ("MUG-1.jpg", "MUG-1"),
        ("MUG-1", "MUG-1"),
        ("2026/autumn/MUG-1_front.JPG", "MUG-1"),
        ("MUG-1-2.png", "MUG-1"),
        ("MUG-1 (3).webp", "MUG-1"),
        ("MUG-1_front-2 (3).webp", "MUG-1"),
        ("MUG-1_front_02.heic", "MUG-1"),
        ("MUG-1-2_front.jpg", "MUG-1"),
        ("MUG-2.jpg", "MUG"),  # the second photo of MUG
        ("MUG-10_back-2.jpg", "MUG-10"),  # a photo has had that SKU
        ("A_B_front.jpg", "A_B"),
        ("V1.5.jpg", "V1.5"),
        ("V1.5", "V1.5"),
        ("4006381333931_side.jpg", "PEN"),
        ("MUG-100.jpg", ""),
        ("MUG-1front.jpg", ""),
        ("mug-1.jpg", ""),
        ("MUG-1_front_left_1.jpg", ""),
        ("IMG_1234.jpg", ""),
        (".jpg", ""),
        ("-1.jpg", ""),
        ("M" * 300 + ".jpg", ""),
        (normalize("NFC", ACUTE) + "_1.jpg", ACUTE),
        (normalize("NFD", ACUTE) + "_1.jpg", ACUTE),
        ("TWICE_1.jpg", ""),
        ("7001.jpg", ""),
    ],
)
def test_the_longest_sku_that_the_name_begins_with_is_meant(ledger, name, sku):
    ledger.intake.submit(PhotoKey("MUG-10", "a" * 64, "default"), "submit")
    ledger.catalogue.remember_product("7001", "p", handle=None, title=None)
    codes = {"PEN": "4006381333931", "TWICE": "7001", "BAR": "TWICE"}
    listed(ledger, "MUG", "MUG-1", "A_B", "A", "V1.5", ACUTE, **codes)
    [match] = match_names(ledger.catalogue, [name])
    assert match.sku == sku
    assert bool(match.reason) == (not sku)


def test_skus_that_differ_in_normal_form_alone_are_told_apart_by_nobody(ledger):
    listed(ledger, normalize("NFC", ACUTE), normalize("NFD", ACUTE))
    [match] = match_names(ledger.catalogue, [f"{ACUTE}.jpg"])
    assert (match.sku, "several" in match.reason) == ("", True)


_SKU = st.text("AaBé1-_ .", min_size=1, max_size=6).filter(lambda text: text.strip() == text)


class OneShop(Catalogue):
    """A catalogue without a database."""

    def __init__(self, skus: set[str]) -> None:
        self._skus = skus

    def skus_named(self, texts):
        found: dict[str, set[str]] = {}
        for sku in self._skus:
            found.setdefault(normalize("NFC", sku), set()).add(sku)
        return {text: found[text] for text in texts if text in found}


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(
    skus=st.sets(_SKU, min_size=1, max_size=8),
    which=st.integers(0, 7),
    view=st.sampled_from(["", "_front", "-2", "_back-12", "_1", " (3)", "_v (2)"]),
    form=st.sampled_from(["NFC", "NFD"]),
)
def test_a_well_formed_name_means_its_sku_or_a_longer_one_or_nobody(skus, which, view, form):
    sku = sorted(skus)[which % len(skus)]
    name = normalize(form, sku + view) + ".jpg"
    [match] = match_names(OneShop(skus), [name])
    said = normalize("NFC", match.sku)
    meant = normalize("NFC", sku)
    if match.sku:
        assert match.sku in skus
        assert said == meant or len(said) > len(meant)
        assert normalize("NFC", name).startswith(said)
    else:
        assert "several" in match.reason
