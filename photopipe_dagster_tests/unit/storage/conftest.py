"""Both object stores, the S3 one against a real S3 server on loopback."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from moto.server import ThreadedMotoServer

from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.s3 import S3Store
from photopipe_dagster.storage.s3_client import PatientS3Resource
from photopipe_dagster.storage.signing import UrlSigner

SECRET = b"a secret of the tests, long enough"


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and configuration of nobody."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_url: str):
    return PatientS3Resource(
        region_name="us-east-1",
        endpoint_url=s3_url,
        max_attempts=1,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).get_client()


@pytest.fixture
def s3(s3_client) -> S3Store:
    bucket = f"photos-{uuid.uuid4().hex}"
    s3_client.create_bucket(Bucket=bucket)
    return S3Store(s3_client, bucket)


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects", "http://127.0.0.1:4000", UrlSigner(SECRET))


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return request.getfixturevalue(request.param)


@dataclass
class Answer:
    """What the scripted server says once; it announces ``length`` bytes where that is given."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Script:
    """A server on loopback that gives the answers in turn, the last one for ever."""

    url: str
    answers: list[Answer]
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def store(self, **options: object) -> S3Store:
        options = {
            "region_name": "us-east-1",
            "endpoint_url": self.url,
            "max_attempts": 1,
        } | options
        return S3Store(PatientS3Resource(**options).get_client(), "photos")


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    servers = []

    def serve(*answers: Answer) -> Script:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`, else clients wait

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                told.requests.append((self.command, self.path))
                told.headers.append({k.lower(): v for k, v in self.headers.items()})
                answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(answer.length or len(answer.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
                self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        told = Script(f"http://127.0.0.1:{server.server_port}", list(answers))
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return told

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
