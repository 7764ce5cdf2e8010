"""What sets a picture apart from its collection."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.collection import Look, collection_report, judged
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.pictures import CompositeFacts, put_picture
from photopipe_dagster.storage.signing import UrlSigner
from photopipe_dagster_tests.support.ledgers import new_ledger


def look(sku: str, **change: Any) -> Look:
    job: Any = SimpleNamespace(key=SimpleNamespace(sku=sku), id=sku)
    usual = Look(job, 0.76, 0.4, 300.0, (200, 200, 200), "table@1", "optical")
    return replace(usual, **change)


USUAL = [look(sku) for sku in "BCDEF"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ground": 0.77}, "77.0%"),
        ({"ground": 1.0}, "frame cuts it off"),
        ({"optical": 0.3}, "75%"),
        ({"shadow": 60.0}, "60°"),
        ({"colour": (200, 200, 190)}, "#c8c8be"),
        ({"scaled_by": "fill: the product's height is not known"}, "height is not known"),
        ({"ground": None}, "earlier version"),
    ],
)
def test_what_sets_it_apart_is_said_and_comes_first(change: dict[str, Any], says: str):
    first, *others = judged([*USUAL, look("Z", **change)])
    assert first.job.key.sku == "Z"
    assert [says in fault for fault in first.faults] == [True]
    assert not any(each.faults for each in others)


@pytest.mark.parametrize("change", [{}, {"ground": 0.763}, {"optical": 0.43}, {"shadow": None}])
def test_what_is_near_is_alike(change: dict[str, Any]):
    assert not any(each.faults for each in judged([*USUAL, look("Z", **change)]))


def test_a_report_reads_the_stored_pictures(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    store = LocalStore(tmp_path / "objects", "http://localhost", UrlSigner(b"k" * 32))
    jpeg = encode_jpeg(np.full((400, 400, 3), 180, np.uint8))
    for number, ground in enumerate((0.76, 0.76, 0.9)):
        key = PhotoKey(f"SKU-{number}", f"{number:064x}", "kitchen")
        job = ledger.intake.submit(key, "submit").job
        facts = CompositeFacts(width=400, height=400, ground=ground, optical=0.4, shadow=300.0)
        object_key = key.object_key(Stage.COMPOSITE)
        put_picture(store, object_key, jpeg, content_type="image/jpeg", recipe="r", facts=facts)
        finish(ledger, job.id, object_key)
    found = collection_report(ledger, store, "kitchen")
    assert [each.job.key.sku for each in found.looks] == ["SKU-2", "SKU-0", "SKU-1"]
    assert (found.outliers, found.optical_spread) == (1, 0)
    assert found.ground_spread == pytest.approx(0.14)
    assert found.looks[0].colour_hex == "#b4b4b4"
    with Image.open(io.BytesIO(found.sheet())) as sheet:
        assert sheet.width == 1348
    assert collection_report(ledger, store, "luxury").looks == ()


def finish(ledger: Ledger, job_id: str, object_key: str) -> None:
    from sqlalchemy import text

    with ledger.database.write() as connection:
        connection.execute(
            text("UPDATE jobs SET status = 'DONE', composite_key = :key WHERE id = :id"),
            {"key": object_key, "id": job_id},
        )
