from __future__ import annotations

import io
import json
from decimal import Decimal

import httpx
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.sandbox.app import create_app
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.freepik.mystic import Order
from photopipe_dagster.sandbox.freepik.records import MAX_PREVIEW_PIXELS
from photopipe_dagster.sandbox.server import running_sandbox, state_of
from photopipe_dagster_tests.unit.sandbox.conftest import picture

KEY = {"x-magnific-api-key": "sandbox-freepik-key"}
REMOVE = "/freepik/v1/ai/beta/remove-background"
MYSTIC = "/freepik/v1/ai/mystic"


def photo_url(sandbox, data: bytes | None = None, content_type: str = "image/jpeg") -> str:
    photo = sandbox.state.threejms.add("A", data or picture(), content_type)
    return photo.url(sandbox.threejms_url)


def remove(http, url: str) -> httpx.Response:
    return http.post(REMOVE, data={"image_url": url}, headers=KEY)


# --- the key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [REMOVE, MYSTIC, "/freepik/v1/ai/uploads/request-url"])
def test_every_call_needs_the_key_in_the_configured_header(http, path):
    missing = http.post(path)
    wrong = http.post(path, headers={"x-magnific-api-key": "nope"})
    legacy = http.post(path, headers={"x-freepik-api-key": "sandbox-freepik-key"})

    assert (missing.status_code, missing.json()) == (401, {"message": "Missing API key"})
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Invalid API key"})
    assert legacy.status_code == 401


async def test_the_legacy_header_works_where_it_is_configured():
    app = create_app(SandboxConfig(freepik_key_headers=("x-magnific-api-key", "x-freepik-api-key")))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        answer = await client.get(MYSTIC, headers={"x-freepik-api-key": "sandbox-freepik-key"})
    assert (answer.status_code, answer.json()) == (200, {"data": []})


async def test_above_the_limit_it_answers_429_without_retry_after():
    app = create_app(SandboxConfig(freepik_requests_per_minute=1))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        first = await client.get(MYSTIC, headers=KEY)
        second = await client.get(MYSTIC, headers=KEY)
        state_of(app).clock.advance(61)
        third = await client.get(MYSTIC, headers=KEY)
    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 200]
    assert second.json() == {"message": "Too many requests"}
    assert "retry-after" not in second.headers


# --- background removal ------------------------------------------------------------------------


def test_a_cut_out_is_answered_as_four_urls_and_charged(http, sandbox):
    answer = remove(http, photo_url(sandbox)).json()

    assert set(answer) == {"original", "high_resolution", "preview", "url"}
    assert answer["url"] == answer["high_resolution"]
    alpha = np.asarray(Image.open(io.BytesIO(http.get(answer["url"]).content)).getchannel("A"))
    assert alpha.shape == (90, 120)
    assert alpha[45, 60] == 255
    assert alpha[2, 2] == 0
    charges = http.get("/_sandbox/charges").json()
    (charge,) = charges["charges"]
    assert (charge["provider"], charge["job"]) == ("freepik", "cutout")
    assert charge["operation"] == "remove_background"
    assert Decimal(charges["total_usd"]) == Decimal("0.02")


def test_the_urls_die_after_five_minutes(http, sandbox):
    answer = remove(http, photo_url(sandbox)).json()

    http.post("/_sandbox/clock", json={"advance_seconds": 299})
    assert http.get(answer["url"]).status_code == 200
    http.post("/_sandbox/clock", json={"advance_seconds": 2})
    assert {http.get(url).status_code for url in answer.values()} == {404}


def test_a_large_photo_gets_a_small_preview(http, sandbox):
    answer = remove(http, photo_url(sandbox, picture((900, 700), "PNG"))).json()

    preview = Image.open(io.BytesIO(http.get(answer["preview"]).content))
    high = Image.open(io.BytesIO(http.get(answer["url"]).content))
    assert preview.width * preview.height <= MAX_PREVIEW_PIXELS
    assert high.size == (900, 700)
    assert http.get(answer["original"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"image_url": "http://127.0.0.1/x.jpg"}},
        {"files": {"image_file": b"x"}},
        {"data": {}},
        {"data": {"image_url": "http://127.0.0.1/x.jpg", "size": "full"}},
    ],
    ids=["json", "multipart", "empty", "unknown field"],
)
def test_anything_but_a_form_with_image_url_is_refused(http, sandbox, body):
    answer = http.post(REMOVE, headers=KEY, **body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert sandbox.state.freepik.charges == []


def test_a_picture_that_cannot_be_had_is_refused_and_costs_nothing(http, sandbox):
    truncated = picture((300, 300))[:2000]
    webp = io.BytesIO()
    Image.new("RGB", (50, 50)).save(webp, "WEBP")
    urls = [
        "http://127.0.0.1:9/a.jpg",
        "file:///etc/hostname",
        "http://[bad/",
        f"{sandbox.threejms_url}/files/999.jpg",
        photo_url(sandbox, b"<html></html>"),
        photo_url(sandbox, truncated),
        photo_url(sandbox, webp.getvalue()),
    ]

    answers = [remove(http, url) for url in urls]

    assert [answer.status_code for answer in answers] == [400] * len(urls)
    assert all(set(answer.json()) == {"message"} for answer in answers)
    assert sandbox.state.freepik.charges == []


def test_a_file_above_20_mb_is_refused(http, sandbox):
    sandbox.state.faults.add(_fault("threejms.files", "huge", size_bytes=21 * 1024 * 1024))

    assert remove(http, photo_url(sandbox)).status_code == 400


def _fault(match: str, kind: str, **more) -> Fault:
    return Fault(match=match, kind=kind, **more)


# --- Mystic ------------------------------------------------------------------------------------


def order(http, **fields) -> httpx.Response:
    return http.post(MYSTIC, json=fields, headers=KEY)


def ask(http, task_id: str) -> dict:
    return http.get(f"{MYSTIC}/{task_id}", headers=KEY).json()["data"]


def test_a_task_goes_from_created_to_completed_while_it_is_asked_for(http, sandbox):
    created = order(http, prompt="marble", aspect_ratio="square_1_1", resolution="4k").json()

    assert set(created) == {"data"}
    assert created["data"]["status"] == "CREATED"
    assert created["data"]["generated"] == []
    task_id = created["data"]["task_id"]
    first, second = ask(http, task_id), ask(http, task_id)
    assert (first["status"], first["generated"]) == ("IN_PROGRESS", [])
    assert "has_nsfw" not in first
    assert (second["status"], second["has_nsfw"]) == ("COMPLETED", [False])
    assert "?token=exp=" in second["generated"][0]
    listed = http.get(MYSTIC, headers=KEY).json()["data"]
    assert listed == [{"task_id": task_id, "status": "COMPLETED"}]
    [charge] = sandbox.state.freepik.charges
    assert (charge.id, charge.usd) == (task_id, Decimal("0.10"))


def finished_url(http, **fields) -> str:
    task_id = order(http, **fields).json()["data"]["task_id"]
    ask(http, task_id)
    return ask(http, task_id)["generated"][0]


def test_pictures_are_png_and_jpeg_in_turn_whatever_the_name_says(http):
    urls = [finished_url(http, prompt="x", aspect_ratio="social_5_4") for _ in range(2)]
    pictures = [Image.open(io.BytesIO(http.get(url).content)) for url in urls]

    assert all(".png?" in url for url in urls)
    assert [picture.format for picture in pictures] == ["PNG", "JPEG"]
    assert pictures[0].size == Order(aspect_ratio="social_5_4").size(0.05)
    assert pictures[0].width * 4 != pictures[0].height * 5  # near to the ratio, never exact


@pytest.mark.parametrize("change", [("exp=", "exp=9"), ("hmac=", "hmac=0"), ("?token=", "?t=")])
def test_a_changed_token_is_refused(http, change):
    url = finished_url(http, prompt="x")

    assert http.get(url).status_code == 200
    assert http.get(url.replace(*change)).status_code == 403


def test_a_signed_url_expires_and_asking_again_gives_a_fresh_one(http, sandbox):
    task_id = order(http, prompt="x").json()["data"]["task_id"]
    ask(http, task_id)
    [old] = ask(http, task_id)["generated"]

    sandbox.state.clock.advance(sandbox.config.mystic_url_seconds + 1)

    assert http.get(old).status_code == 403
    [fresh] = ask(http, task_id)["generated"]
    assert http.get(fresh).status_code == 200


async def test_the_signature_can_be_for_good():
    app = create_app(SandboxConfig(mystic_resigns=False, mystic_polls=1, mystic_scale=0.05))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        created = await client.post(MYSTIC, json={"prompt": "x"}, headers=KEY)
        path = f"{MYSTIC}/{created.json()['data']['task_id']}"
        first = (await client.get(path, headers=KEY)).json()["data"]["generated"]
        state_of(app).clock.advance(7200)
        second = (await client.get(path, headers=KEY)).json()["data"]["generated"]
        assert first == second
        assert (await client.get(second[0])).status_code == 403


def test_with_a_latency_the_clock_decides_not_the_polls(http, sandbox):
    sandbox.state.traffic.set_latencies({"freepik.mystic.task": 30})
    task_id = order(http, prompt="x").json()["data"]["task_id"]

    assert {ask(http, task_id)["status"] for _ in range(4)} == {"IN_PROGRESS"}
    sandbox.state.clock.advance(31)
    assert ask(http, task_id)["status"] == "COMPLETED"


WRONG = [
    {"aspect_ratio": "1:1"},
    {"model": "mystic"},
    {"engine": "Illusio"},
    {"resolution": "8k"},
    {"creative_detailing": 101},
    {"creative_detailing": 33.5},
    {"creative_detailing": True},
    {"hdr": -1},
    {"adherence": "50"},
    {"fixed_generation": "yes"},
    {"prompt": 5},
    {"webhook_url": "https://example.com/hook"},
    {"structure_reference": "aGVyZQ=="},
    {"negative_prompt": "text"},
    {"guidance_scale": 7},
    {"model": "fluid", "aspect_ratio": "standard_3_2"},
    {"styling": {"styles": [{"name": "anime", "strength": 200}]}},
]


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_a_wrong_field_is_named(http, sandbox, fields):
    answer = order(http, prompt="x", **fields) if "prompt" not in fields else order(http, **fields)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    problem = content.get("problem", content)
    assert {item["name"] for item in problem["invalid_params"]} <= set(fields)
    assert problem["invalid_params"]
    assert sandbox.state.freepik.charges == []


def test_refusals_come_wrapped_and_unwrapped_in_turn(http):
    forms = ["problem" in order(http, model="mystic").json() for _ in range(4)]
    assert forms == [True, False, True, False]


def test_every_field_is_accepted(http):
    answer = order(
        http,
        prompt="x",
        adherence=0,
        hdr=100,
        resolution="1k",
        aspect_ratio="social_post_4_5",
        model="editorial_portraits",
        engine="magnific_sharpy",
        creative_detailing=33,
        fixed_generation=True,
        filter_nsfw=True,
    )
    assert answer.status_code == 200


def test_a_body_of_another_type_is_ignored(http, sandbox):
    body = json.dumps({"model": "no such model", "prompt": "marble"})
    answer = http.post(MYSTIC, content=body, headers={**KEY, "content-type": "text/plain"})

    assert answer.status_code == 200
    [task] = sandbox.state.freepik.tasks.values()
    assert task.order.prompt == ""


def test_broken_json_and_unknown_tasks_are_refused(http):
    headers = {**KEY, "content-type": "application/json"}
    assert http.post(MYSTIC, content="{", headers=headers).status_code == 400
    assert http.post(MYSTIC, content="[]", headers=headers).status_code == 400
    unknown = http.get(f"{MYSTIC}/nope", headers=KEY)
    assert (unknown.status_code, unknown.json()) == (404, {"message": "Resource not found"})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("task_failed", {"status": "FAILED", "generated": []}),
        ("nsfw", {"status": "COMPLETED", "has_nsfw": [True]}),
    ],
)
def test_a_task_can_fail_or_be_flagged(http, sandbox, kind, expected):
    sandbox.state.faults.add(_fault("freepik.mystic.create", kind))
    task_id = order(http, prompt="x").json()["data"]["task_id"]
    ask(http, task_id)

    finished = ask(http, task_id)

    assert expected.items() <= finished.items()
    assert set(finished) <= {"task_id", "status", "generated", "has_nsfw"}  # never a reason


def test_results_can_be_dead_from_the_start(http, sandbox):
    for match in ("freepik.remove_background", "freepik.mystic.create"):
        sandbox.state.faults.add(_fault(match, "expired_url"))

    assert http.get(remove(http, photo_url(sandbox)).json()["url"]).status_code == 404
    assert http.get(finished_url(http, prompt="x")).status_code == 403
    assert len(sandbox.state.freepik.charges) == 2


# --- uploads -----------------------------------------------------------------------------------


def request_upload(http, *types: str) -> httpx.Response:
    files = [{"content_type": content_type} for content_type in types]
    path = "/freepik/v1/ai/uploads/request-url"
    return http.post(path, json={"files": files}, headers=KEY)


def test_an_uploaded_picture_can_be_cut_out(http):
    [place] = request_upload(http, "image/jpeg").json()["files"]

    assert (place["expires_in"], place["asset_url_expires_in"]) == (120, 86400)
    assert http.get(place["asset_url"]).status_code == 404
    sent = http.put(place["upload_url"], content=picture(), headers=place["headers"])
    assert sent.status_code == 200
    assert remove(http, place["asset_url"]).status_code == 200


def test_an_upload_insists_on_its_headers_and_on_being_without_the_key(http, sandbox):
    [place] = request_upload(http, "image/png").json()["files"]
    url, headers = place["upload_url"], place["headers"]
    wrong = {**headers, "Content-Type": "image/jpeg"}
    incomplete = {"Content-Type": "image/png"}

    assert http.put(url, content=b"x", headers=wrong).status_code == 403
    assert http.put(url, content=b"x", headers=incomplete).status_code == 403
    assert http.put(url, content=b"x", headers={**headers, **KEY}).status_code == 400
    sandbox.state.clock.advance(121)
    assert http.put(url, content=b"x", headers=headers).status_code == 400


@pytest.mark.parametrize("types", [[], ["image/png"] * 15, ["image/gif"]], ids=len)
def test_wrong_announcements_are_refused(http, types):
    assert request_upload(http, *types).status_code == 400


def test_other_painters_can_be_given():
    config = SandboxConfig(
        cut_out=lambda data: picture((7, 5), "PNG"),
        paint=lambda prompt, width, height: Image.new("RGB", (width, height), "blue"),
        mystic_polls=1,
        mystic_scale=0.05,
    )
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        cut_out = http.get(remove(http, photo_url(sandbox)).json()["url"]).content
        task_id = order(http, prompt="x").json()["data"]["task_id"]
        background = http.get(ask(http, task_id)["generated"][0]).content

    assert Image.open(io.BytesIO(cut_out)).size == (7, 5)
    assert Image.open(io.BytesIO(background)).convert("RGB").getpixel((3, 3)) == (0, 0, 255)
