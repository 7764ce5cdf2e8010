from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.s3 import S3Store
from photopipe_dagster.storage.s3_client import PatientS3Resource
from photopipe_dagster.storage.signing import UrlSigner


def settings(folder: Path, **values: object) -> Settings:
    return Settings(_env_file=None, data_dir=folder, **values)


def test_a_folder_where_no_bucket_is_named(tmp_path: Path) -> None:
    store = object_store(settings(tmp_path, port=4001))
    assert isinstance(store, LocalStore)
    store.put("masks/a.png", b"x", content_type="image/png")
    assert (tmp_path / "objects/masks/a.png").read_bytes() == b"x"
    assert store.presign_get("masks/a.png", 60).startswith("http://127.0.0.1:4001/files/masks/a")


def test_two_processes_sign_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UrlSigner, "expiry", lambda _signer, expires_in: 1000 + expires_in)
    urls = {object_store(settings(tmp_path)).presign_get("a", 60) for _ in range(2)}
    assert len(urls) == 1


def test_a_bucket_where_one_is_named(tmp_path: Path, s3_url: str, s3_client) -> None:
    s3_client.create_bucket(Bucket="made-for-the-factory")
    store = object_store(
        settings(tmp_path, s3_bucket="made-for-the-factory", aws_endpoint_url_s3=s3_url)
    )
    assert isinstance(store, S3Store)
    store.check()
    assert list(tmp_path.iterdir()) == []


def test_presigned_urls_begin_with_the_endpoint_that_outsiders_reach(
    tmp_path: Path, s3_url: str, s3_client
) -> None:
    s3_client.create_bucket(Bucket="seen-from-outside")
    public = s3_url.replace("127.0.0.1", "localhost")  # as a proxy's name leads to the same server
    store = object_store(
        settings(
            tmp_path,
            s3_bucket="seen-from-outside",
            aws_endpoint_url_s3=s3_url,
            s3_public_endpoint_url=public,
        )
    )
    store.put("a.png", b"x", content_type="image/png")
    read = store.presign_get("a.png", 60)
    write = store.presign_put("b.png", 60, content_type="image/png")
    assert {url.split("/seen-from-outside/")[0] for url in (read, write)} == {public}
    assert httpx.get(read).content == b"x"
    answer = httpx.put(write, content=b"y", headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    found = store.get("b.png")
    assert found is not None
    assert found.data == b"y"


def test_a_public_endpoint_that_is_no_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="s3_public_endpoint_url"):
        settings(tmp_path, s3_public_endpoint_url="pictures.example.com")


def test_urls_of_aws_itself_name_bucket_and_region(tmp_path: Path) -> None:
    store = object_store(settings(tmp_path, s3_bucket="photos", aws_region="eu-west-1"))
    url = urlsplit(store.presign_get("a", 60))
    assert url.hostname == "photos.s3.eu-west-1.amazonaws.com"
    assert "AWS4-HMAC-SHA256" in url.query


def test_the_client_has_limits() -> None:
    config = PatientS3Resource(region_name="us-east-1").get_client().meta.config
    assert (config.connect_timeout, config.read_timeout) == (5.0, 60.0)
    assert config.retries == {"mode": "standard", "total_max_attempts": 5}
    assert config.max_pool_connections == 64


def test_the_embedded_setup_does_not_import_what_it_does_not_use() -> None:
    code = (
        "import sys, photopipe_dagster.storage.factory;"
        "print(sorted({'boto3', 'botocore', 'dagster', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
