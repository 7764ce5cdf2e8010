from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.storage.signing import SECRET_FILE, UrlSigner, load_or_create_secret

SECRET = b"0123456789abcdef0123456789abcdef"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def settings(folder: Path, **values: object) -> Settings:
    return Settings(_env_file=None, data_dir=folder, **values)


def test_a_signature_permits_what_it_was_made_for() -> None:
    signer = UrlSigner(SECRET, clock=Clock())
    expires = signer.expiry(60)
    assert signer.verify("GET", "a/b%2Fc", expires, signer.sign("GET", "a/b%2Fc", expires))
    put = signer.sign("PUT", "a", expires, "image/png")
    assert signer.verify("PUT", "a", expires, put, "image/png")


@pytest.mark.parametrize(
    "changed",
    [
        ("GET", "a", 1_000_060, "image/png"),
        ("PUT", "b", 1_000_060, "image/png"),
        ("PUT", "a", 1_000_061, "image/png"),
        ("PUT", "a", 1_000_060, "image/jpeg"),
        ("PUT", "a", 1_000_060, ""),
    ],
)
def test_whatever_is_changed_breaks_the_signature(changed: tuple[str, str, int, str]) -> None:
    signer = UrlSigner(SECRET, clock=Clock())
    signature = signer.sign("PUT", "a", 1_000_060, "image/png")
    method, key, expires, content_type = changed
    assert not signer.verify(method, key, expires, signature, content_type)


def test_addresses_of_earlier_versions_hold() -> None:
    signature = UrlSigner(SECRET).sign("PUT", "a/b", 1_000_060, "image/png")
    assert signature == "jckFx53Uil4TlNI396KzTiZ4aXGWNoOqlX1A6IqiwhI"


def test_parts_cannot_be_shifted_into_each_other() -> None:
    signer = UrlSigner(SECRET)
    assert signer.sign("GET", 'a", 5, "', 5) != signer.sign("GET", "a", 5, '", 5, "')
    assert signer.sign("GET", "a\n1", 2) != signer.sign("GET", "a", 12)


def test_it_ends_at_its_expiry() -> None:
    clock = Clock()
    signer = UrlSigner(SECRET, clock=clock)
    expires = signer.expiry(60)
    signature = signer.sign("GET", "a", expires)
    clock.now += 59.9
    assert signer.verify("GET", "a", expires, signature)
    clock.now += 0.1
    assert not signer.verify("GET", "a", expires, signature)


@pytest.mark.parametrize("signature", ["", "x", "é\ud800", "A" * 43])
def test_nonsense_is_no_signature(signature: str) -> None:
    assert not UrlSigner(SECRET).verify("GET", "a", 9_999_999_999, signature)


def test_another_secret_signs_otherwise() -> None:
    other = UrlSigner(b"f" * 32).sign("GET", "a", 9_999_999_999)
    assert not UrlSigner(SECRET).verify("GET", "a", 9_999_999_999, other)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="URL_SIGNING_SECRET"):
        UrlSigner(b"short")


def test_the_secret_of_the_settings_is_used(tmp_path: Path) -> None:
    assert load_or_create_secret(settings(tmp_path, url_signing_secret="s" * 20)) == b"s" * 20
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    secret = load_or_create_secret(settings(folder))
    assert len(secret) >= 32
    assert load_or_create_secret(settings(folder)) == secret
    assert [path.name for path in folder.iterdir()] == [SECRET_FILE]
    assert stat.S_IMODE((folder / SECRET_FILE).stat().st_mode) == 0o600
    assert load_or_create_secret(settings(tmp_path / "other")) != secret


def test_threads_that_start_together_get_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(20) as pool:
        secrets = set(pool.map(lambda _: load_or_create_secret(settings(tmp_path)), range(40)))
    assert len(secrets) == 1
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]


def test_who_comes_second_takes_the_secret_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_or_create_secret(settings(tmp_path))
    monkeypatch.setattr(Path, "exists", lambda _: False)  # looked before the first was done
    assert load_or_create_secret(settings(tmp_path)) == first
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]


def _load(folder: Path) -> bytes:
    return load_or_create_secret(settings(folder))


def test_another_process_gets_the_same(tmp_path: Path) -> None:
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(_load, (tmp_path,)) == _load(tmp_path)


def test_an_empty_secret_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).touch()
    with pytest.raises(ConfigurationError, match="Delete it"):
        load_or_create_secret(settings(tmp_path))


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="set URL_SIGNING_SECRET"):
        load_or_create_secret(settings(tmp_path / "file"))
