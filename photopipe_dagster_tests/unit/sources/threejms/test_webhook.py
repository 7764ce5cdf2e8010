import hashlib
import hmac
import logging

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import WebhookRefusedError
from photopipe_dagster.sources.threejms.plugin import Plugin
from photopipe_dagster.sources.threejms.webhook import WebhookVerifier, sign

BODY = b'{"event": "image.created"}'
NOW = 1_793_534_400


@pytest.fixture
def verifier():
    return WebhookVerifier([b"new", b"old"], clock=lambda: float(NOW))


def test_the_signature_is_the_hmac_of_the_raw_body():
    expected = hmac.new(b"key", BODY, hashlib.sha256).hexdigest()
    assert sign(b"key", BODY) == f"sha256={expected}"


@pytest.mark.parametrize("secret", [b"new", b"old"])
def test_each_of_several_secrets_is_accepted(verifier, secret):
    verifier.verify(BODY, sign(secret, BODY))
    verifier.verify(BODY, sign(secret, BODY).upper().replace("SHA256", "sha256"))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=abc",
        "sha256=" + "z" * 64,
        "sha1=" + "0" * 64,
        "0" * 64,
        "sha256=" + "0" * 64,
        "sha256=" + "é" * 64,
        sign(b"other", BODY),
        sign(b"new", BODY + b" "),
    ],
)
def test_any_other_signature_is_refused(verifier, signature):
    with pytest.raises(WebhookRefusedError):
        verifier.verify(BODY, signature)


@pytest.mark.parametrize("drift", [-300, 0, 300])
def test_a_timestamp_is_signed_with_the_body(verifier, drift):
    verifier.verify(BODY, sign(b"new", BODY, NOW + drift), str(NOW + drift))


@pytest.mark.parametrize("drift", [-301, 301, -86400])
def test_an_old_request_is_refused(verifier, drift):
    with pytest.raises(WebhookRefusedError, match="300 seconds"):
        verifier.verify(BODY, sign(b"new", BODY, NOW + drift), str(NOW + drift))


def test_a_timestamp_can_neither_be_added_nor_removed(verifier):
    with pytest.raises(WebhookRefusedError):
        verifier.verify(BODY, sign(b"new", BODY), str(NOW))
    with pytest.raises(WebhookRefusedError):
        verifier.verify(BODY, sign(b"new", BODY, NOW), None)


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "1e9", "١٢٣", "9" * 5000])
def test_a_timestamp_is_a_number(verifier, timestamp):
    with pytest.raises(WebhookRefusedError, match="seconds since 1970"):
        verifier.verify(BODY, sign(b"new", BODY), timestamp)


def test_secrets_come_from_the_settings(tmp_path):
    settings = Settings(
        _env_file=None, data_dir=tmp_path, threejms_webhook_secret="first, second ,"
    )
    verifier = Plugin().open_webhook(settings)
    verifier.verify(BODY, sign(b"first", BODY))
    verifier.verify(BODY, sign(b"second", BODY))
    with pytest.raises(WebhookRefusedError):
        verifier.verify(BODY, sign(b"", BODY))


@pytest.mark.parametrize("secret", ["s", "0123456789a", f"{'x' * 32},s"])
def test_a_secret_that_can_be_guessed_is_refused_in_production(tmp_path, secret):
    values = {"_env_file": None, "data_dir": tmp_path, "threejms_webhook_secret": secret}
    with pytest.raises(ConfigurationError, match=r"less than 12 characters.*openssl") as caught:
        Plugin().check(Settings(PHOTOPIPE_ENV="production", **values))
    assert secret not in str(caught.value).split()
    Plugin().check(Settings(**values))
    values["threejms_webhook_secret"] = "x" * 12
    Plugin().check(Settings(PHOTOPIPE_ENV="production", **values))


def test_development_goes_without_a_secret_and_says_so(tmp_path, caplog):
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with caplog.at_level(logging.WARNING):
        verifier = Plugin().open_webhook(settings)
    assert not verifier.verifies
    verifier.verify(BODY, None)
    assert "NOT VERIFIED" in caplog.text


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("secret", [",", "  ", " , ,"])
def test_a_secret_that_is_none_never_opens_the_door(tmp_path, environment, secret):
    settings = Settings(
        _env_file=None,
        PHOTOPIPE_ENV=environment,
        data_dir=tmp_path,
        threejms_webhook_secret=secret,
    )
    with pytest.raises(ConfigurationError, match="THREEJMS_WEBHOOK_SECRET"):
        Plugin().open_webhook(settings)
