"""Servers that speak S3, each without something that AWS has."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from xml.sax.saxutils import escape

import httpx
import pytest

from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store

WITHOUT = {
    "checksums": ("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"),
    "conditional writes": ("if-match", "if-none-match"),
    "hosts of buckets": (),
}
"""What a server lacks, and how the headers begin that it refuses for it."""


@dataclass
class Server:
    """One on loopback that knows buckets by the path alone, as most do."""

    refused: tuple[str, ...]
    url: str = ""
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    digests: list[str | None] = field(default_factory=list)

    def handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805  # `self` is the handler
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def fail(self, status: int, code: str, words: str) -> None:
                text = f"<Error><Code>{code}</Code><Message>{escape(words)}</Message></Error>"
                self.say(status, text.encode(), Content_Type="application/xml")

            def answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                names = [*map(str.lower, self.headers), *query.lower().split("&")]
                bad = [name for name in names if name.startswith(server.refused or ("\0",))]
                if bad:
                    words = f"Unsupported header '{bad[0]}' received for this API call."
                    self.fail(400, "InvalidArgument", words)
                elif not path.startswith("/photos/"):
                    self.fail(404, "NoSuchBucket", "No such bucket")
                elif self.command == "PUT":
                    server.put(path, data, self.headers)
                    self.say(200, ETag='"x"')
                elif self.command == "DELETE":
                    server.objects.pop(path, None)
                    self.say(204)
                elif path not in server.objects:
                    self.fail(404, "NoSuchKey", "No such key")
                else:
                    data, kind = server.objects[path]
                    date = "Sun, 01 Nov 2026 12:00:00 GMT"
                    self.say(200, data, ETag='"x"', Last_Modified=date, Content_Type=kind)

            def log_message(self, *_: object) -> None:
                pass

        for method in ("GET", "HEAD", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        return Handler

    def put(self, path: str, data: bytes, headers: object) -> None:
        self.digests.append(headers["Content-MD5"])
        self.objects[path] = (data, headers["Content-Type"])


def serve(refused: tuple[str, ...]) -> Iterator[Server]:
    server = Server(refused)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
    Thread(target=listener.serve_forever, daemon=True).start()
    # A name, under which the client could look for hosts of buckets.
    server.url = f"http://localhost:{listener.server_port}"
    yield server
    listener.shutdown()
    listener.server_close()


@pytest.fixture(params=list(WITHOUT))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from serve(WITHOUT[request.param])


@pytest.fixture
def without_checksums() -> Iterator[Server]:
    yield from serve(WITHOUT["checksums"])


def store_at(server: Server, folder: Path, **values: object) -> ObjectStore:
    return object_store(
        Settings(
            _env_file=None,
            data_dir=folder,
            s3_bucket="photos",
            aws_endpoint_url_s3=server.url,
            **values,
        )
    )


RARELY = {
    "aws_request_checksum_calculation": "when_required",
    "aws_response_checksum_validation": "WHEN_REQUIRED",
}


def try_all(store: ObjectStore) -> None:
    store.check()
    store.put("masks/a.png", b"picture", content_type="image/png", metadata={"name": "ü"})
    found = store.get("masks/a.png")
    assert found is not None
    assert (found.data, found.info.content_type) == (b"picture", "image/png")
    assert store.head("masks/a.png") is not None
    assert httpx.get(store.presign_get("masks/a.png", 60)).content == b"picture"
    upload = store.presign_put("masks/b.png", 60, content_type="image/png")
    sent = httpx.put(upload, content=b"other", headers={"Content-Type": "image/png"})
    assert sent.status_code == 200
    assert store.get("masks/b.png").data == b"other"
    store.delete("masks/a.png")
    assert store.get("masks/a.png") is None
    assert store.head("masks/a.png") is None


def test_every_operation_works_without_what_a_server_lacks(server: Server, tmp_path: Path) -> None:
    try_all(store_at(server, tmp_path, **RARELY))
    # Without checksums the upload is proven nevertheless.
    md5 = hashlib.md5(b"picture", usedforsecurity=False).digest()
    assert b64encode(md5).decode() in server.digests


def test_the_environment_of_other_programs_for_the_server_is_enough(
    without_checksums: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in RARELY.items():
        monkeypatch.setenv(name.upper(), value)
    try_all(store_at(without_checksums, tmp_path))


def test_aws_configuration_file_is_enough(
    without_checksums: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    lines = (f"{name.removeprefix('aws_')} = {value.lower()}" for name, value in RARELY.items())
    file.write_text("\n".join(["[default]", *lines]))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    try_all(store_at(without_checksums, tmp_path))


def test_a_refusal_repeats_the_server_s_words_and_names_the_setting(
    without_checksums: Server, tmp_path: Path
) -> None:
    with pytest.raises(StorageError) as raised:
        store_at(without_checksums, tmp_path).check()
    message = raised.value.message
    assert "S3 answered 400 InvalidArgument (Unsupported header 'x-amz-checksum-sha256'" in message
    assert "set AWS_REQUEST_CHECKSUM_CALCULATION" in message
    assert not raised.value.retryable


def test_aws_itself_is_sent_a_sha_256(server: Server, tmp_path: Path) -> None:
    if server.refused != WITHOUT["checksums"]:
        store_at(server, tmp_path).check()
        assert server.digests == [None]
