"""A ledger in a file, with a clock that stands still."""

from datetime import UTC, datetime

import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.support.ledgers import new_ledger

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        threejms_api_url="https://inventory.example/base",
        threejms_api_key="key-of-a-test",
        threejms_page_size=2,
        threejms_poll_overlap_seconds=600,
    )


@pytest.fixture
def production(tmp_path):
    return Settings(
        _env_file=None,
        PHOTOPIPE_ENV="production",
        data_dir=tmp_path,
        threejms_webhook_secret="first-secret",
    )


@pytest.fixture
def ledger(settings):
    new_ledger(settings.data_dir)
    ledger = Ledger(settings.ledger_url, clock=lambda: NOW)
    yield ledger
    ledger.close()
