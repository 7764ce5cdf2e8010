"""The examples of `docs/api.md`, run one after another over a whole shop."""

from __future__ import annotations

import re
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch, API_AUTH="required", COST_LIMIT_DAILY_USD="5") as shop:
        yield shop


def run_what_is_due(shop: World) -> None:
    """What the sensor and its run do meanwhile."""
    for dispatch in shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9):
        shop.materialize(dispatch.keys)


def test_the_examples_of_the_page_work(shop, tmp_path, monkeypatch):
    shop.stock("MUG")
    (tmp_path / "mug.jpg").write_bytes(photo_of_a_mug())
    _, secret = shop.ledger.tokens.create("client", [Scope.WRITE], lifetime=timedelta(hours=1))
    monkeypatch.setenv("PHOTOPIPE_URL", shop.api_url)
    monkeypatch.setenv("PHOTOPIPE_TOKEN", secret)
    monkeypatch.setenv("PHOTO", str(tmp_path / "mug.jpg"))
    sleep, here = time.sleep, threading.current_thread()

    def sleep_or_work(seconds):
        run_what_is_due(shop) if threading.current_thread() is here and seconds == 10 else sleep(
            seconds
        )

    monkeypatch.setattr("time.sleep", sleep_or_work)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) > 8
    names: dict[str, object] = {}
    for number, example in enumerate(examples):
        exec(compile(example, f"{PAGE.name}, example {number}", "exec"), names)  # noqa: S102
    names["api"].close()
    assert len(shop.charges()) == 3, "a cut-out and two backgrounds"
    assert names["estimate"]["totalUsd"] == 0.07
    assert names["price"] == 0.05
