"""The pages of batches, without a browser: price first, begun once, followed and cancelled."""

import hashlib
import re
from decimal import Decimal
from html import unescape

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.pages.batches import _SKU_BYTES, BatchForm, BatchKind, InvalidFormError
from photopipe_dagster.core.errors import ErrorCode, JobError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs import backfill_plan
from photopipe_dagster.costs.backfill_plan import Selection
from photopipe_dagster.ledger.jobs.intake import Arrival
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient
from photopipe_dagster_tests.unit.api.test_pages import EVIL, csrf, parsed


@pytest.fixture
def settings(tmp_path):
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        url_signing_secret="url-secret-of-a-test",
        public_base_url="http://testserver",
        ai_provider="freepik",
        freepik_api_key="key",
        cost_limit_daily_usd=Decimal("0.10"),
    )


@pytest.fixture
def done(ledger):
    """A photo that is published."""

    def done(sku, theme="default"):
        key = PhotoKey(sku, hashlib.sha256(sku.encode()).hexdigest(), theme)
        ledger.transitions.begin(key, "run", again=True)
        ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
        return key

    return done


@pytest.fixture
def ask(client):
    """Ask what a batch would cost, as the form does."""

    def ask(files=None, **fields):
        token = csrf(client.get("/batches/new").text)
        return client.post("/batches/estimate", data=fields | {"csrf_token": token}, files=files)

    return ask


def hidden(html):
    """The fields of the form that begins a batch."""
    form = html[html.index('action="/batches"') :]
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


def test_a_batch_is_estimated_begun_once_followed_and_cancelled(client, ask, done, ledger):
    done("A")
    done("B & C")
    done("B & C", "luxury")
    answer = ask(kind="theme", theme="luxury", skus="A\r\nB & C\r\n\r\n nobody's \r\n")
    assert answer.status_code == 200
    text = unescape(answer.text)
    parsed(answer.text)
    assert "<h1>Theme luxury for 2 products</h1>" in text
    assert "$0.07" in text
    assert "Start batch (1 photo)<" in text
    assert "1 SKU is unknown" in text
    assert "nobody's</pre>" in text
    assert "1 photo is already published in that theme" in text
    assert ledger.batches.newest() == []

    fields = hidden(answer.text)
    first, second = (client.post("/batches", data=fields) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    (batch,) = ledger.batches.newest()
    assert (batch.total, batch.started_by, batch.estimate) == (1, "anybody", Decimal("0.07"))

    path = f"/batches/{batch.id}"
    assert first.headers["location"] == f"{path}?said=batch_begun"
    page = client.get(first.headers["location"])
    parsed(page.text)
    assert "Batch started." in page.text
    assert "Under way" in page.text
    assert "0 of 1 photos have ended" in page.text
    assert path in client.get("/batches").text

    stopped = client.post(f"{path}/cancel", data={"csrf_token": csrf(page.text)})
    assert stopped.headers["location"] == f"{path}?said=batch_cancelled"
    assert ledger.batches.require(batch.id).state == "cancelled"
    assert "Cancel remaining" not in client.get(path).text


def test_three_thousand_skus_can_be_pasted(client, ask, done, ledger):
    skus = [f"SKU-{number:05} [blue/{number}]" for number in range(3000)]
    for sku in skus[::600]:
        done(sku)
    answer = ask(kind="theme", theme="luxury", skus="\r\n".join(skus))
    assert "2,995 SKUs are unknown" in answer.text
    assert "some photos" not in answer.text
    assert "The budget has $0.10 left today" in answer.text, "5 photos cost more"
    assert client.post("/batches", data=hidden(answer.text)).status_code == 303
    assert ledger.batches.newest()[0].total == 5


def sent(client, fields):
    """Begin a batch as browsers do: in parts, with two bytes for the end of a line."""
    parts = {name: (None, value.replace("\n", "\r\n")) for name, value in fields.items()}
    return client.post("/batches", files=parts)


def test_what_was_estimated_can_be_begun_however_many_skus_are_unknown(client, ask, done, ledger):
    done("A")
    done("B")
    done("B", "luxury")
    skus = "\n".join(["A", "B", "A", *(f"SKU-{number:06}" for number in range(90_000))])
    file = {"file": ("skus.txt", skus.encode(), "text/plain")}
    answer = ask(file, kind="theme", theme="luxury", products="named")
    assert "90,000 SKUs are unknown" in answer.text
    fields = hidden(answer.text)
    assert fields["skus"] == "A\nB"
    assert sent(client, fields).status_code == 303
    assert ledger.batches.newest()[0].what == "theme luxury for 2 products"


def test_more_known_skus_than_a_form_carries_are_refused_before_anything_is_estimated(
    ask, ledger, monkeypatch
):
    skus = [f"{number:0250}" for number in range(4140)]
    arrivals = [Arrival(PhotoKey(sku, "a" * 64, "default"), "submit") for sku in skus]
    for begin in range(0, len(arrivals), 500):
        ledger.intake.submit_all(arrivals[begin : begin + 500])
    monkeypatch.delattr(backfill_plan, "price")
    file = {"file": ("skus.txt", "\n".join(skus).encode(), "text/plain")}
    refused = ask(file, kind="theme", theme="luxury", products="named")
    assert refused.status_code == 422
    assert "These 4,140 SKUs are more than one form can carry" in refused.text
    assert "photopipe batch start --skus" in refused.text


def test_the_longest_form_that_is_rendered_can_be_sent(client, ask, done):
    done("A")
    form = hidden(ask(kind="theme", theme="luxury", products="named", skus="A").text)
    lines = [f"É{number:097}" for number in range(_SKU_BYTES // 101)]
    longest = BatchForm(BatchKind.THEME, skus="\n".join(lines)).known(Selection("all", ()))
    answer = sent(client, form | {"skus": longest.skus, "code": "x" * 32, "theme": "luxury"})
    assert answer.status_code == 409, "it was read, and knows no such photo"
    with pytest.raises(InvalidFormError):
        BatchForm(BatchKind.THEME, skus="\n".join([*lines, "x" * 100])).known(Selection("all", ()))


def test_what_a_person_stopped_is_left_out_and_counted(ask, done, ledger):
    done("A")
    key = done("B")
    stopped = PhotoKey(key.sku, key.sha256, "luxury")
    ledger.intake.submit(stopped, "submit")
    ledger.transitions.cancel(stopped.job_id, by="ann")
    text = ask(kind="theme", theme="luxury", products="all").text
    assert "Start batch (1 photo)<" in text
    assert "1 photo is left out: cancelled or rejected." in text


def test_skus_may_come_as_a_file(ask, done):
    done("A")
    done("É")
    file = {"file": ("skus.txt", "\ufeffÉ\r\n".encode(), "text/plain")}
    assert "for 2 products" in ask(file, kind="theme", theme="kitchen", skus="A").text
    picture = {"file": ("skus.jpg", b"\xff\xd8\xff\xe0", "image/jpeg")}
    refused = ask(picture, kind="theme", theme="kitchen", skus="A")
    assert refused.status_code == 422
    assert "plain text: save the SKUs" in refused.text
    assert ">A</textarea>" in refused.text, "what was written is not lost"


def test_all_products_are_meant_only_where_that_is_said(ask, done):
    done("A")
    refused = ask(kind="theme", theme="luxury", skus=" \r\n", products="named")
    assert refused.status_code == 422
    assert "Name the SKUs" in refused.text
    assert "for all products" in ask(kind="theme", theme="luxury", products="all").text


def test_failures_are_chosen_by_code_and_day(client, ask, ledger, done):
    key = PhotoKey("A", "a" * 64, "default")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.fail(key.job_id, JobError("No.", code=ErrorCode.S3_ERROR, retryable=False))
    answer = ask(kind="failed", code="S3_ERROR", since="2020-02-29")
    assert "Failed with S3_ERROR since 2020-02-29 00:00 UTC" in answer.text
    begun = client.post("/batches", data=hidden(answer.text)).headers["location"]
    assert "A</a>" not in client.get(begun).text, "it waits"
    ledger.batches.release(5)
    assert ">A</a>" in client.get(begun).text
    assert "There is nothing to make" in ask(kind="failed", code="API_ERROR").text
    assert "There is nothing to make" in ask(kind="failed", since="9999-12-31").text
    for fields in ({"code": "NONE"}, {"since": "soon"}, {"since": "2020-02-30"}):
        assert ask(kind="failed", **fields).status_code == 422


def test_what_has_changed_since_the_estimate_is_shown_again(client, ask, done, ledger):
    done("A")
    fields = hidden(ask(kind="theme", theme="luxury", products="all").text)
    done("B")
    answer = client.post("/batches", data=fields)
    assert answer.status_code == 409
    assert "selection changed since this estimate" in answer.text
    assert ledger.batches.newest() == []
    assert client.post("/batches", data=hidden(answer.text)).status_code == 303
    assert ledger.batches.newest()[0].total == 2


def test_changed_prompts_are_looked_for(ask, done):
    done("A")
    assert "Any theme, where the picture" in ask(kind="changed").text
    assert "$0.07" in ask(kind="changed", theme="default").text
    assert "There is nothing to make" in ask(kind="changed", theme="luxury").text


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "nonsense"},
        {"batch": "../../etc"},
        {"batch": "ABCDEF012345"},
        {"cost": "-1"},
        {"cost": "NaN"},
        {"theme": "x" * 65},
        {"since": "x" * 11},
    ],
)
def test_forms_that_no_page_sends_are_refused(client, ask, done, ledger, fields):
    done("A")
    genuine = hidden(ask(kind="theme", theme="luxury", products="all").text)
    answer = client.post("/batches", data=genuine | fields)
    assert answer.status_code == 422
    assert ledger.batches.newest() == []


def test_a_theme_that_is_none_and_a_batch_that_is_none(client, ask):
    assert "There is no theme" in unescape(ask(kind="theme", theme="none", skus="A").text)
    assert client.get("/batches/000000000000").status_code == 404
    token = csrf(client.get("/batches/new").text)
    answer = client.post("/batches/000000000000/cancel", data={"csrf_token": token})
    assert answer.status_code == 404


def test_no_sku_becomes_markup(client, ask, done):
    done(EVIL)
    answer = ask(kind="theme", theme="luxury", skus=f"{EVIL}\r\n{EVIL}?")
    assert parsed(answer.text).scripts == 1
    begun = client.post("/batches", data=hidden(answer.text)).headers["location"]
    for path in (begun, "/batches"):
        assert "<script>alert" not in client.get(path).text


def test_every_photo_of_a_batch_can_be_seen(client, ledger):
    keys = [PhotoKey(f"MUG-{number}", f"{number:064x}", "luxury") for number in range(45)]
    batch = ledger.batches.start(keys, what="many", by="ann", estimate=Decimal(0))
    ledger.batches.release(45)
    page = client.get(f"/batches/{batch.id}").text
    path = f"/batches/{batch.id}?status=QUEUED"
    assert f'<a href="{path}">All 45</a>' in page
    seen = []
    while path:
        page = client.get(path).text
        seen += re.findall(r'<a href="/jobs/(\w{16})"', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older and older[1].replace("&amp;", "&")
    assert sorted(seen) == sorted(key.job_id for key in keys)


def test_long_lists_have_pages(client, ledger):
    for number in range(23):
        key = PhotoKey(f"SKU-{number}", "a" * 64, "luxury")
        ledger.batches.start([key], what=f"no. {number}!", by="ann", estimate=Decimal(0))
    first = client.get("/batches").text
    assert "No. 22!" in first
    assert "No. 2!" not in first
    assert 'href="/batches?page=2"' in first
    assert "No. 2!" in client.get("/batches?page=2").text


def test_who_may_only_read_follows_and_begins_nothing(settings, ledger, store, done):
    _, secret = ledger.tokens.create("reader", [Scope.READ])
    client = ApiClient(create_app(settings, ledger, store))
    cookie = client.post("/login", data={"token": secret}).headers["set-cookie"]
    headers = {"Cookie": cookie.partition(";")[0]}
    key = done("A")
    batch = ledger.batches.start([key], what="all", by="ann", estimate=Decimal(0))
    listed, shown = (client.get(p, headers=headers) for p in ("/batches", f"/batches/{batch.id}"))
    assert "/batches/new" not in listed.text
    assert "Cancel" not in shown.text
    assert client.get("/batches/new", headers=headers).status_code == 403
    token = csrf(listed.text)
    for path in ("/batches", "/batches/estimate", f"/batches/{batch.id}/cancel"):
        fields = {"kind": "failed", "csrf_token": token}
        fields |= {"batch": "0" * 12, "seen": "", "cost": "0"}
        assert client.post(path, data=fields, headers=headers).status_code == 403
    assert ledger.batches.require(batch.id).state == "under way"


@pytest.mark.parametrize("path", ["/batches", "/batches/estimate", "/batches/000000000000/cancel"])
def test_forms_of_others_are_refused(client, ledger, path):
    fields = {"kind": "failed", "batch": "0" * 12, "seen": "", "cost": "0", "csrf_token": "x"}
    answer = client.post(path, data=fields)
    assert answer.status_code == 403
    assert "Reload the page" in answer.text
    genuine = fields | {"csrf_token": csrf(client.get("/batches/new").text)}
    answer = client.post(path, data=genuine, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
