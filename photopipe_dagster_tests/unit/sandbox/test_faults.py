"""What goes wrong on purpose, over a real connection."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from importlib.resources import files

import httpx
import pytest
from pydantic import ValidationError

from photopipe_dagster.sandbox.app import create_app
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Fault, Faults
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster_tests.unit.sandbox.conftest import picture

KEY = {"x-magnific-api-key": "sandbox-freepik-key"}
MYSTIC = "/freepik/v1/ai/mystic"


def plan(http, match: str, kind: str, **more) -> int:
    answer = http.post("/_sandbox/faults", json={"match": match, "kind": kind, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def create(http, **more) -> httpx.Response:
    return http.post(MYSTIC, json={"prompt": "x"}, headers=KEY, **more)


def charges(sandbox) -> int:
    return len(sandbox.state.freepik.charges)


@pytest.mark.parametrize(
    ("match", "path", "body"),
    [
        ("freepik.*", MYSTIC, {"message": "Too many requests"}),
        ("threejms.photos", "/threejms/photos", {"detail": "Too many requests"}),
        ("shopify.cdn", "/shopify/cdn/s/files/1/0001/files/a", {"errors": "Too many requests"}),
    ],
)
def test_a_status_speaks_the_services_language(http, match, path, body):
    plan(http, match, "status", status=429, headers={"Retry-After": "7"})
    answer = http.get(path)
    assert (answer.status_code, answer.json()) == (429, body)
    assert answer.headers["retry-after"] == "7"


def test_a_status_can_have_any_body_and_does_no_work(http, sandbox):
    plan(http, "freepik.mystic.create", "status", status=402, body='{"message": "No credits"}')
    answer = create(http)
    assert (answer.status_code, answer.json()) == (402, {"message": "No credits"})
    assert charges(sandbox) == 0


@pytest.mark.parametrize(("kind", "charged"), [("reset", 0), ("reset_after", 1)])
def test_a_connection_is_cut_before_or_after_the_work(http, sandbox, kind, charged):
    plan(http, "freepik.mystic.create", kind)
    with pytest.raises(httpx.TransportError):
        create(http)
    assert charges(sandbox) == charged
    assert create(http).status_code == 200


@pytest.mark.parametrize(("kind", "charged"), [("timeout_before", 0), ("timeout_after", 1)])
def test_no_answer_comes_before_or_after_the_work(http, sandbox, kind, charged):
    plan(http, "freepik.mystic.create", kind)
    with pytest.raises(httpx.ReadTimeout):
        create(http, timeout=0.3)
    assert charges(sandbox) == charged


def test_a_timeout_ends_with_a_cut_where_it_has_an_end(http):
    plan(http, "freepik.mystic.create", "timeout_before", seconds=0.05)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        create(http)


def test_half_a_body_is_noticed_by_the_client(http, sandbox):
    photo = sandbox.state.threejms.add("A", picture())
    plan(http, "threejms.files", "truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(photo.url(sandbox.threejms_url))
    assert http.get(photo.url(sandbox.threejms_url)).content == photo.data


def test_answers_of_the_wrong_kind(http, sandbox):
    plan(http, "freepik.mystic.create", "html")
    plan(http, "freepik.mystic.create", "wrong_json")
    plan(http, "freepik.mystic.create", "wrong_content_type", content_type="text/plain")

    page, shape, text = create(http), create(http), create(http)

    assert page.headers["content-type"].startswith("text/html")
    assert (shape.status_code, "data" in shape.json()) == (200, False)
    assert text.headers["content-type"] == "text/plain"
    assert charges(sandbox) == 2  # the page did no work


def test_a_file_can_be_somewhere_private_or_endless(http, sandbox):
    url = sandbox.state.threejms.add("A", picture()).url(sandbox.threejms_url)
    plan(http, "threejms.files", "redirect")
    plan(http, "threejms.files", "huge", size_bytes=300_000)

    redirect, huge = http.get(url), http.get(url)

    assert redirect.status_code == 302
    assert redirect.headers["location"].startswith("http://169.254.169.254/")
    assert (len(huge.content), huge.headers["content-length"]) == (300_000, "300000")


def test_times_skip_and_removal(http):
    plan(http, "freepik.mystic.create", "status", status=503, times=2, skip=1)
    assert [create(http).status_code for _ in range(4)] == [200, 503, 503, 200]
    for_ever = plan(http, "freepik.mystic.create", "status", status=500, times=None)
    assert {create(http).status_code for _ in range(3)} == {500}
    listed = http.get("/_sandbox/faults").json()
    assert [one["happened"] for one in listed] == [2, 3]
    assert http.delete(f"/_sandbox/faults/{for_ever}").status_code == 204
    assert http.delete(f"/_sandbox/faults/{for_ever}").status_code == 404
    assert create(http).status_code == 200
    http.delete("/_sandbox/faults")
    assert http.get("/_sandbox/faults").json() == []


def test_a_probability_is_thrown_with_the_same_dice_each_time():
    def throws(seed: int) -> list[bool]:
        planned = Faults(seed)
        planned.add(Fault(match="freepik.*", kind="reset", probability=0.5, times=None))
        return [planned.take(["freepik.mystic.get"]) is not None for _ in range(40)]

    assert throws(1) == throws(1)
    assert 5 < sum(throws(1)) < 35


@pytest.mark.parametrize(
    "fields",
    [
        {"match": "freepik.nothing", "kind": "reset"},
        {"match": "freepik.*", "kind": "throttled"},
        {"match": "shopify.files", "kind": "user_error"},
        {"match": "freepik.*", "kind": "meteor"},
        {"match": "freepik.*", "kind": "reset", "often": 3},
        {"match": "freepik.*", "kind": "reset", "times": 0},
    ],
)
def test_an_impossible_fault_is_refused(http, fields):
    with pytest.raises(ValidationError):
        Fault(**fields)
    assert http.post("/_sandbox/faults", json=fields).status_code == 422


def test_without_a_server_a_cut_is_an_exception():
    app = create_app()
    app.state.sandbox.faults.add(Fault(match="freepik.mystic.list", kind="reset"))

    async def ask() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://sandbox"
        ) as client:
            await client.get(MYSTIC, headers=KEY)

    with pytest.raises(ConnectionResetError):
        asyncio.run(ask())


# --- latency, clock, state ---------------------------------------------------------------------


def test_latencies_overlap_and_the_peak_is_counted(http, sandbox):
    http.post("/_sandbox/latency", json={"freepik.mystic.create": 0.3})
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(create(http).status_code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = http.get("/_sandbox/state").json()["requests"]["freepik.mystic.create"]
    assert statuses == [200] * 4
    assert counts == {"requests": 4, "peak": 4}
    assert sandbox.state.traffic.requests("freepik.mystic.create") == 4
    assert http.get("/_sandbox/latency").json() == {"freepik.mystic.create": 0.3}


@pytest.mark.parametrize("latencies", [{"freepik.nothing": 1}, {"freepik.mystic.get": -1}])
def test_an_impossible_latency_is_refused(http, latencies):
    assert http.post("/_sandbox/latency", json=latencies).status_code == 422


def test_the_clock_is_moved_and_put_back(http, sandbox):
    moved = http.post("/_sandbox/clock", json={"now": "2030-01-01T00:00:00Z"}).json()
    assert moved["now"].startswith("2030-01-01T00:00:0")
    later = http.post("/_sandbox/clock", json={"advance_seconds": 3600}).json()
    assert later["now"].startswith("2030-01-01T01:00:0")
    http.post("/_sandbox/reset")
    assert not http.get("/_sandbox/clock").json()["now"].startswith("2030")


def test_a_reset_empties_everything(http, sandbox):
    sandbox.state.threejms.add("A", picture())
    product = http.post("/_sandbox/shopify/products", json={"title": "A", "skus": ["A", "B"]})
    shop = sandbox.state.shopify
    shop.add_file("http://127.0.0.1:9/a.jpg", "a.jpg", "")
    create(http)
    plan(http, "freepik.*", "reset")
    before = http.get("/_sandbox/state").json()

    after = http.post("/_sandbox/reset").json()

    assert product.json()["id"].startswith("gid://shopify/Product/")
    assert before["freepik_tasks"] == {"CREATED": 1}
    assert before["shopify_files"] == {"UPLOADED": 1}
    assert float(before["freepik_usd"]) == 0.05
    names = ("photos", "freepik_charges", "shopify_products", "faults")
    assert [before[name] for name in names] == [1, 1, 1, 1]
    assert [after[name] for name in names] == [0, 0, 0, 0]
    assert after["requests"] == {}


def test_latencies_of_the_start_come_back_with_a_reset():
    config = SandboxConfig(latencies={"freepik.mystic.task": 5})
    state = create_app(config).state.sandbox
    state.traffic.set_latencies({"freepik.mystic.task": 1, "shopify.media": 2})
    state.reset()
    assert state.traffic.latencies() == {"freepik.mystic.task": 5}


def test_an_unknown_product_status_is_refused(http):
    bad = {"title": "A", "status": "GONE"}
    assert http.post("/_sandbox/shopify/products", json=bad).status_code == 422


def test_the_tables_say_what_each_operation_and_kind_is():
    tables = tomllib.loads(files("photopipe_dagster.sandbox").joinpath("faults.toml").read_text())
    says = [*tables["operations"].values(), *tables["background"].values()]
    says += [*tables["kinds"].values(), *(row["says"] for row in tables["inside"].values())]
    assert len(says) > 30
    assert all(says)


def test_two_sandboxes_do_not_know_each_other():
    with running_sandbox() as one, running_sandbox() as two:
        one.state.shopify.add_product("A")
        assert httpx.get(f"{two.url}/_sandbox/state").json()["shopify_products"] == 0
        assert httpx.get(f"{one.url}/_sandbox/state").json()["shopify_products"] == 1
