from urllib.parse import parse_qsl, quote, urlsplit

import pytest

KEY = "originals/A%20%231%2F2/9f86.jpg"


@pytest.fixture
def stored(store):
    store.put(KEY, b"\xff\xd8\xffpicture", content_type="image/jpeg")
    return KEY


def changed(url, **query):
    """A URL with parts of its query replaced, or removed where ``None``."""
    parts = urlsplit(url)
    old = dict(parse_qsl(parts.query)) | query
    text = "&".join(f"{name}={quote(value)}" for name, value in old.items() if value is not None)
    return parts._replace(query=text).geturl()


def test_a_signed_url_reads_one_object(client, store, stored):
    url = store.presign_get(stored, 60)
    assert "A%2520%25231%252F2" in url
    response = client.get(url)
    assert response.status_code == 200
    assert response.content == b"\xff\xd8\xffpicture"
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"] == "inline"
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "10"


def test_what_is_no_picture_is_a_download(client, store):
    store.put("reports/x.html", b"<script>", content_type="text/html")
    response = client.get(store.presign_get("reports/x.html", 60))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment"
    assert "sandbox" in response.headers["content-security-policy"]


def test_an_absent_object_is_not_found(client, store):
    response = client.get(store.presign_get("masks/A/none.png", 60))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    [
        {"signature": None},
        {"signature": "x" * 43},
        {"signature": "ü"},
        {"expires": None},
        {"expires": "99999999999"},
        {"expires": "soon"},
        {"expires": "9" * 5000},
        {"expires": "-1"},
        {"method": None},
        {"method": "PUT"},
        {"method": "DELETE"},
    ],
)
def test_a_changed_url_is_refused(client, store, stored, query):
    url = changed(store.presign_get(stored, 60), **query)
    response = client.get(url)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "forbidden"


def test_a_url_reads_no_other_object(client, store, stored):
    store.put("originals/B/1.jpg", b"other", content_type="image/jpeg")
    url = store.presign_get(stored, 60).replace("A%2520%25231%252F2/9f86", "B/1")
    assert client.get(url).status_code == 403


def test_an_expired_url_is_refused(client, store, stored, monkeypatch):
    monkeypatch.setattr(store._signer, "_clock", lambda: 1_000_000.0)
    assert client.get(store.presign_get(stored, 60)).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "../url-signing-secret",
        "..%2Furl-signing-secret",
        "%2Fetc/passwd",
        "",
        "a%00b",
        ".photopipe/x",
    ],
)
def test_nothing_is_reached_without_a_signature(client, path):
    query = "?method=GET&expires=99999999999&signature=" + "x" * 43
    assert client.get(f"/files/{path}{query}").status_code in (403, 404)


def test_a_signed_upload_is_stored(client, store):
    url = store.presign_put("originals/B/1.jpg", 60, content_type="image/jpeg")
    response = client.put(url, content=b"new", headers={"content-type": "image/jpeg"})
    assert response.status_code == 200
    found = store.get("originals/B/1.jpg")
    assert (found.data, found.info.content_type) == (b"new", "image/jpeg")


def test_an_upload_is_of_the_signed_type_and_method(client, store):
    url = store.presign_put("originals/B/1.jpg", 60, content_type="image/jpeg")
    assert client.put(url, content=b"x", headers={"content-type": "text/html"}).status_code == 403
    assert client.put(url, content=b"x").status_code == 403
    assert client.get(url).status_code == 403
    read = store.presign_get("originals/B/1.jpg", 60)
    assert client.put(read, content=b"x").status_code == 403
    assert store.head("originals/B/1.jpg") is None


def test_a_long_upload_is_refused(client, store):
    url = store.presign_put("originals/B/1.jpg", 60, content_type="image/jpeg")
    headers = {"content-type": "image/jpeg"}
    assert client.put(url, content=b"x" * 1001, headers=headers).status_code == 413
    assert client.put(url, content=iter([b"x" * 600] * 2), headers=headers).status_code == 413
    assert store.head("originals/B/1.jpg") is None
    assert client.put(url, content=b"x" * 1000, headers=headers).status_code == 200
