"""Every page and form, without a browser: what is shown, to whom, and what is refused."""

import hashlib
import html
import io
import re
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.pages.formatting import ago, duration, percent, usd
from photopipe_dagster.cli.job_view import what_to_do
from photopipe_dagster.core.errors import (
    BudgetExceededError,
    ErrorCode,
    JobError,
    PhotoRejectedError,
    ProviderError,
    ServiceDownError,
    TargetError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict
from photopipe_dagster.runtime.advice import explain
from photopipe_dagster.targets.registry import TARGETS
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.api.conftest import ApiClient

PAGES = ("/", "/?days=1", "/?days=30", "/jobs", "/batches", "/review", "/gallery", "/themes")
EVIL = "<script>alert('x')</script>"
VOID = {"meta", "link", "input", "img", "br", "option", "line", "rect"}


class Strict(HTMLParser):
    """Fails on tags that do not close in the order in which they were opened."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs), attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, (tag, self.open)


def parsed(page):
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def csrf(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]


def jpeg(colour="teal", size=(60, 40)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def cutout():
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:30, 20:40] = (200, 30, 30, 255)
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def settings(tmp_path):
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        url_signing_secret="url-secret-of-a-test",
        public_base_url="http://testserver",
        dagster_ui_url="https://dagster.example/",
        approval_required="outdoors",
        cost_limit_daily_usd=Decimal(5),
    )


@pytest.fixture
def shop(ledger, store):
    return Shop(ledger, store)


class Shop:
    """Jobs in the ledger as runs would have left them, with pictures in the store."""

    def __init__(self, ledger, store):
        self.ledger, self.store = ledger, store

    def new(self, sku="MUG-1", theme="default"):
        sha256 = hashlib.sha256(sku.encode()).hexdigest()
        return self.ledger.intake.submit(PhotoKey(sku, sha256, theme), "submit").job

    def made(self, sku="MUG-1", theme="default", cost=Decimal("0.05"), stages=4):
        """Its pictures up to a stage are there: all of them, and it is to be published."""
        job = self.new(sku, theme)
        spend = self.ledger.spending.reserve(
            f"{sku}/{theme}",
            key=job.key,
            stage=Stage.BACKGROUND,
            provider="freepik",
            amount=cost,
            owner="run-1",
        )
        self.ledger.spending.settle(spend.id, SpendState.CHARGED)
        self.ledger.transitions.begin(job.key, "run-1", again=False)
        statuses = (
            JobStatus.SEGMENTING,
            JobStatus.BG_GENERATING,
            JobStatus.COMPOSITING,
            JobStatus.SHOPIFY_PUSH,
        )
        for stage, status in zip(list(Stage)[:stages], statuses[:stages], strict=True):
            key = job.key.object_key(stage)
            png = stage is Stage.MASK
            content_type = "image/png" if png else "image/jpeg"
            self.store.put(key, cutout() if png else jpeg(), content_type=content_type)
            self.ledger.transitions.advance(
                job.id, status, stored=(stage, key), step=Step(stage, "run-1", 1.5), checks=()
            )
        return self.ledger.jobs.require(job.id)

    def published(self, sku="MUG-1", theme="default"):
        job = self.made(sku, theme)
        product, media = "gid://shopify/Product/1", "gid://shopify/MediaImage/1"
        step = Step(Stage.SHOPIFY_MEDIA, "run-1", 2.0)
        self.ledger.transitions.advance(
            job.id, JobStatus.DONE, published=(product, media), step=step
        )
        return self.ledger.jobs.require(job.id)

    def waiting(self, sku="MUG-1", theme="outdoors", digest="a" * 64):
        job = self.made(sku, theme)
        measure = Measure("halo", 9.5, Verdict.WARN, "≤ 8", "Look at the edge.")
        checks = (CheckResult("picture", Stage.COMPOSITE, (measure,)),)
        self.ledger.transitions.advance(job.id, JobStatus.SHOPIFY_PUSH, checks=checks)
        return self.ledger.transitions.hold(job.id, ["halo is 9.5."], digest)

    def failed(self, sku="BAD-1", error=None):
        job = self.new(sku)
        return self.ledger.transitions.fail(
            job.id, error or PhotoRejectedError("The photo is empty.")
        )


def down(ledger, name="shopify", *, refused=True, reason="Shopify answered 401."):
    with ledger.database.write() as connection:
        ledger.breakers.failed(connection, name, reason, for_good=True, refused=refused)


# --- the product's title -------------------------------------------------------------------


def test_products_are_shown_and_found_by_their_title_in_any_case(client, shop, ledger):
    titled = shop.published("MUG-1")
    shop.published("CUP-1")
    waiting = shop.waiting("MUG-2")
    ledger.catalogue.remember_product("MUG-1", "p1", title="Grüne Tasse <b>", handle="gruene-tasse")
    ledger.catalogue.remember_product("MUG-2", "p2", title="Blue mug", handle="blue-mug")
    for text in ("grüne t", "GRÜNE", "gruene-", "tasse <B"):
        page = client.get("/jobs", params={"sku": text}).text
        assert re.findall(r'<a href="/jobs/(\w{16})"', page) == [titled.id], text
        assert "Grüne Tasse &lt;b&gt;" in page
    assert "No matching jobs" in client.get("/jobs?sku=purple").text
    for path in (f"/jobs/{titled.id}", "/gallery"):
        assert "Grüne Tasse &lt;b&gt;" in client.get(path).text
    for path in ("/", f"/review?at={waiting.id}", "/jobs?status=REVIEW&sku=blue+mug"):
        assert "Blue mug" in client.get(path).text


# --- in another theme ----------------------------------------------------------------------


def test_a_photo_is_set_in_another_theme_from_its_page_and_from_its_review(
    client, send, shop, ledger
):
    job = shop.waiting("MUG-1", "outdoors")
    for path in (f"/jobs/{job.id}", f"/review?at={job.id}"):
        assert f'href="/jobs/{job.id}/themes"' in client.get(path).text
    page = client.get(f"/jobs/{job.id}/themes")
    assert page.status_code == 200
    parsed(page.text)
    assert "Luxury, free" in told(page.text)
    assert "Outdoors, " not in told(page.text), "there it is already"
    for _ in range(2):  # a form that is sent twice
        answer = send(f"/jobs/{job.id}/themes", theme="luxury")
        assert answer.status_code == 303
    made = PhotoKey("MUG-1", job.key.sha256, "luxury").job_id
    assert answer.headers["location"] == f"/jobs/{made}?said=theme_known"
    assert ledger.jobs.require(made).status is JobStatus.NEW
    assert ledger.jobs.require(job.id) == job, "the picture at hand stays as it is"
    assert send(f"/jobs/{job.id}/themes", theme="none").status_code == 422
    assert ledger.jobs.stats().total == 2


def test_a_theme_that_costs_says_so_on_its_button(settings, ledger, store, shop):
    job = shop.new()
    costly = Settings(
        _env_file=None,
        data_dir=settings.data_dir,
        url_signing_secret="url-secret-of-a-test",
        ai_provider="freepik",
        freepik_api_key="key-of-a-test",
    )
    page = ApiClient(create_app(costly, ledger, store)).get(f"/jobs/{job.id}/themes")
    assert re.search(r"Luxury, up to \$0\.0[1-9]", told(page.text))


def test_a_picture_has_a_page_as_large_as_the_window(client, shop):
    job = shop.published()
    assert f'href="/jobs/{job.id}/pictures/mask"' in client.get(f"/jobs/{job.id}").text
    page = client.get(f"/jobs/{job.id}/pictures/mask").text
    parsed(page)
    assert f'href="/pictures/{job.id}/mask/whole"' in page
    assert f'href="/jobs/{job.id}/pictures/composite"' in page
    assert client.get(f"/jobs/{shop.new('NEW-1').id}/pictures/mask").status_code == 404


def test_a_product_is_a_link_to_the_shop():
    shopify = TARGETS.get("shopify")
    ours = Settings(_env_file=None, shopify_store="a.myshopify.com")
    address = shopify.product_url(ours, "gid://shopify/Product/7")
    assert address == "https://a.myshopify.com/admin/products/7"
    assert shopify.product_url(ours, "other") is None


def test_a_dashboard_without_costs_has_no_cards_that_say_nothing(client, shop):
    assert "Cost by theme" not in client.get("/").text
    shop.made()
    assert "Cost by theme" in client.get("/").text


# --- what is shown -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_shop_is_told_what_to_do(client, path):
    response = client.get(path)
    assert response.status_code == 200
    parsed(response.text)
    if path not in ("/review", "/batches"):
        assert re.search(r"photopipe submit (data/)?mug\.jpg", response.text)
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PAGES, "/jobs?status=FAILED", "/jobs?theme=default", "/login"])
def test_no_sku_becomes_markup(client, shop, path):
    shop.failed(EVIL)
    shop.waiting(EVIL)
    job = shop.published(EVIL, "luxury")
    page = client.get(path)
    assert page.status_code == 200
    assert parsed(page.text).scripts <= 1
    assert "<script>alert" not in page.text
    page = client.get(f"/jobs/{job.id}")
    assert parsed(page.text).scripts == 1
    assert "&lt;script&gt;alert" in page.text


def test_the_quality_page_tells_what_people_decided_and_tries_limits(client, shop, ledger):
    assert "No pictures yet" in client.get("/quality").text
    shop.published("A")
    ledger.reviews.reject(shop.waiting().id, by="Eva", reason=EVIL)
    ledger.reviews.approve(shop.waiting("MUG-2").id, by="Eva")
    page = client.get("/quality?days=7")
    assert parsed(page.text).scripts <= 1
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    text = re.sub(r"\s+", " ", re.sub("<.*?>", " ", page.text))
    assert "outdoors not measured not known 0 2 1 1 0" in text
    assert "halo ≤ 8 in force 2 0 1 0 0" in text
    assert "halo ≤ 12 0 0 0 0 0" in text
    assert client.get("/quality?days=0").status_code == 422
    assert "/quality" in client.get("/review").text


def test_the_dashboard_counts_photos_and_money(client, shop):
    shop.published("A")
    shop.published("B", "luxury")
    shop.failed("C")
    for days in (1, 7, 30):
        text = client.get(f"/?days={days}").text
        assert "66.7 %" in text
        assert "$0.10" in text
        assert "2 photos published and 1 failed" in text
        assert "$0.05 a photo" in text
        assert ">freepik<" in text
    assert "The photo is empty" not in text  # the reason is on the job's page
    assert "/jobs?sku=B" in text


def test_the_dashboard_tells_of_what_needs_a_person(client, shop, ledger):
    waiting, failed = shop.waiting(), shop.failed()
    stuck = shop.made("STUCK-1")
    before = ledger.database.now
    ledger.database.now = lambda: before() + timedelta(hours=3)
    text = client.get("/").text
    assert f"/review?at={waiting.id}" in text
    assert f"/jobs/{failed.id}" in text
    assert f"/jobs/{stuck.id}" in text
    assert "Stuck" in text
    assert '1<span class="hidden"> waiting' in text
    ledger.reviews.reject(waiting.id, by="Eva", reason="no")
    ledger.transitions.retry(failed.id)
    assert client.get("/").text.count("joblist") == 1
    assert failed.id not in client.get("/").text


def test_the_dashboard_counts_what_goes_on_by_itself(client, shop):
    assert "due-later" not in client.get("/").text
    shop.failed("B-1", BudgetExceededError("The budget of today is spent."))
    shop.failed("B-2", BudgetExceededError("The budget of today is spent."))
    down = ServiceDownError("down", service="freepik.cutouts", code=ErrorCode.API_ERROR)
    shop.failed("D-1", down)
    shop.failed("R-1", JobError("later", retryable=True))
    text = re.sub("<.*?>", "", client.get("/").text)
    assert "2 photos wait for the budget." in text
    assert "1 photo waits for Freepik (cut-outs)." in text
    assert "1 photo waits for the time of its next try." in text


def test_jobs_are_found_by_status_theme_and_any_part_of_the_sku(client, shop):
    shop.failed("MUG-1")
    shop.published("MUG-2", "luxury")
    shop.published("mug-3")
    shop.waiting("100%_A")

    def found(query):
        return re.findall(
            r'class="sku"><a href="[^"]+">([^<]+)<', client.get(f"/jobs?{query}").text
        )

    assert found("") == ["100%_A", "mug-3", "MUG-2", "MUG-1"]
    assert found("sku=MUG") == ["mug-3", "MUG-2", "MUG-1"]
    assert found("sku=100%25_") == ["100%_A"]
    assert found("sku=%25") == ["100%_A"]
    assert found("sku=ug-2") == ["MUG-2"]
    assert found("sku=%25x") == []
    assert found("status=FAILED") == ["MUG-1"]
    shop.ledger.transitions.cancel(shop.new("MUG-1", "luxury").id, by="Eva")
    assert found("status=FAILED") == ["MUG-1"]
    assert found("status=CANCELLED&sku=MUG") == ["MUG-1"]
    assert found("status=REVIEW") == ["100%_A"]
    assert found("theme=luxury&status=DONE") == ["MUG-2"]
    assert found("status=nonsense&page=zero") == found("")
    assert "No matching jobs" in client.get("/jobs?sku=nothing").text


def test_who_searches_for_an_id_is_taken_to_the_job(client, shop):
    job = shop.failed()
    response = client.get(f"/jobs?sku={job.id}")
    assert (response.status_code, response.headers["location"]) == (303, f"/jobs/{job.id}")


def test_long_lists_have_pages(client, shop):
    for number in range(30):
        shop.new(f"SKU-{number:02}", "luxury")
    first = client.get("/jobs?theme=luxury").text
    assert "SKU-29" in first
    assert "SKU-04" not in first
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = client.get(older.replace("&amp;", "&")).text
    assert "SKU-04" in second
    assert 'rel="prev" href="/jobs?theme=luxury"' in second
    assert 'rel="next"' not in second


def test_a_job_shows_all_there_is_to_know(client, shop):
    job = shop.waiting()
    text = client.get(f"/jobs/{job.id}").text
    parsed(text)
    for stage in ("original", "mask", "background", "composite"):
        assert f"/pictures/{job.id}/{stage}?width=" in text
    assert "halo is 9.5." in text
    assert "≤ 8" in text
    assert "Look at the edge." in text
    assert "freepik" in text
    assert "$0.05" in text
    assert (
        f"https://dagster.example/assets/composite?view=partitions&amp;partition={job.key.sku}%2F"
        in text
    )
    assert "https://dagster.example/runs/run-1" in text
    assert "signature=" not in text


def test_a_failed_job_says_why_and_what_to_do(client, shop):
    job = shop.failed(error=BudgetExceededError("Nothing was paid.", details={"price_usd": "0.05"}))
    text = client.get(f"/jobs/{job.id}").text
    assert "Nothing was paid." in text
    assert "What to do" in text
    assert "price_usd" in text
    assert f'action="/jobs/{job.id}/retry"' in text


def told(page):
    return html.unescape(" ".join(re.sub("<[^>]*>", "", page).split()))


def waits(shop, sku, service="shopify"):
    error = ServiceDownError("It is down.", service=service, code=ErrorCode.SHOPIFY_ERROR)
    return shop.failed(sku, error)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_that_the_shop_refuses_and_what_to_do(client, ledger, path):
    down(ledger)
    shown = told(client.get(path).text)
    assert "Shopify refuses Photopipe since" in shown
    assert "Shopify answered 401." in shown
    assert "the app's token" in shown
    down(ledger, "freepik.cutouts", refused=False, reason="Freepik answered 503.")
    shown = told(client.get(path).text)
    assert "Freepik (cut-outs) is down" in shown
    assert "FREEPIK_API_KEY" not in shown


def test_a_service_that_a_person_has_mended_is_tried_at_once(client, send, shop, ledger):
    down(ledger)
    now = ledger.database.now()
    assert ledger.breakers.get("shopify").retry_at > now
    page = client.get("/").text
    assert 'action="/services/shopify/check"' in page
    assert "service_asked" in send("/services/shopify/check").headers["location"]
    assert ledger.breakers.get("shopify").is_due(ledger.database.now())
    assert "service_up" in send("/services/freepik.cutouts/check").headers["location"]


def test_retrying_a_photo_that_waits_for_a_service_has_it_tried_at_once(send, shop, ledger):
    job = waits(shop, "MUG-1")
    down(ledger)
    send(f"/jobs/{job.id}/retry")
    assert ledger.breakers.get("shopify").is_due(ledger.database.now())


def test_all_that_failed_is_retried_from_the_dashboard_and_from_a_filtered_list(
    client, send, shop, ledger
):
    for sku in ("A-1", "A-2", "B-1"):
        shop.failed(sku, JobError("no", code=ErrorCode.SHOPIFY_ERROR))
    shop.failed("A-3")
    waits(shop, "A-4")
    shown = told(client.get("/").text)
    assert "Retry all 4 …" in shown
    page = client.get("/jobs?error=SHOPIFY_ERROR&sku=a-").text
    assert "Retry all of these" in page
    fields = {"kind": "failed", "code": "SHOPIFY_ERROR", "text": "a-", "theme": ""}
    for name, value in fields.items():
        assert f'name="{name}" value="{value}"' in page
    page = send("/batches/estimate", page="/jobs?status=FAILED", **fields).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert send("/batches", page="/jobs?status=FAILED", **hidden).status_code == 303
    (batch,) = ledger.batches.newest()
    assert batch.total == 2
    ledger.batches.release(9)
    assert ledger.jobs.stats().by_status[JobStatus.QUEUED] == 2
    assert "Retry all of these" not in client.get("/jobs").text


def test_a_failure_of_a_provider_that_passes_is_not_blamed_on_the_key(client, shop):
    busy = ProviderError("Freepik answered 503.", retryable=True, details={"status": 503})
    shown = told(client.get(f"/jobs/{shop.failed(error=busy).id}").text)
    assert "key" not in shown
    assert "retried automatically" in shown
    refused = ProviderError("No.", details={"status": 401, "provider": "freepik"})
    shown = told(client.get(f"/jobs/{shop.failed('BAD-2', refused).id}").text)
    assert "FREEPIK_API_KEY" in shown


def test_a_page_names_buttons_and_the_command_line_names_commands(client, shop, ledger):
    message = "Create it in Shopify, then `photopipe retry JOB`."
    job = shop.failed(error=TargetError(message))
    shown = told(client.get(f"/jobs/{job.id}").text)
    assert "then “Retry”" in shown
    assert "photopipe retry" not in shown
    assert "SHOPIFY_STORE" not in shown, "the message has said what to do"
    assert f"`photopipe retry {job.id}`" in what_to_do(job, ledger)


def test_a_photo_that_waits_for_the_budget_is_told_one_time_and_it_is_to_come(
    client, shop, ledger, settings
):
    limited = Ledger(settings.ledger_url, limits=Limits(day=Decimal("0.03")))
    with limited.database.write() as connection:
        error = limited.budget.refusal(connection, Decimal("0.02"))
        assert error is None
        error = limited.budget.refusal(connection, Decimal("0.05"))
    job = shop.failed(error=error)
    why = explain(job, limited)
    assert "Raise COST_LIMIT_DAILY_USD" in why.do, "no photo can ever be paid of it"
    assert why.again is None
    shop.made("MUG-9", cost=Decimal("0.02"))
    with limited.database.write() as connection:
        error = limited.budget.refusal(connection, Decimal("0.02"))
    why = explain(shop.failed("BAD-3", error), limited)
    assert why.again == limited.budget.day().ends > ledger.database.now()
    assert "UTC" not in why.says + why.do
    assert "COST_LIMIT_DAILY_USD" in why.do
    limited.close()


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/unknownunknown12",
        "/jobs/x",
        "/pictures/unknownunknown12/mask",
        "/static/x/y.css",
        "/themes/none/sample.jpg",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "Page not found" in response.text
    parsed(response.text)


def test_people_are_told_of_errors_on_a_page_and_programs_in_json(client, ledger, monkeypatch):
    browser = {"Accept": "text/html,application/xhtml+xml"}
    missing = client.get("/nonsense", headers=browser)
    assert (missing.status_code, "Page not found" in missing.text) == (404, True)
    parsed(missing.text)
    for path, headers in (("/nonsense", {}), ("/api/nonsense", browser)):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")

    def broken(*_, **__):
        raise ValueError("a signed URL, say")

    monkeypatch.setattr(ledger.batches, "newest", broken)
    failed = client.get("/batches", headers=browser)
    assert failed.status_code == 500
    assert "Something went wrong" in failed.text
    assert "signed URL" not in failed.text
    assert failed.headers["x-frame-options"] == "DENY"
    parsed(failed.text)
    assert client.get("/batches").json()["error"]["code"] == "internal_error"


# --- pictures --------------------------------------------------------------------------------


def test_small_pictures_are_made_once(client, shop, store, monkeypatch):
    job = shop.published()
    path = f"/pictures/{job.id}/mask?width=200"
    first = client.get(path)
    assert first.headers["content-type"] == "image/jpeg"
    assert "max-age" in first.headers["cache-control"]
    with Image.open(io.BytesIO(first.content)) as image:
        corner = image.getpixel((2, 2))
        assert image.size == (60, 40)
    assert min(corner) > 200  # the checkerboard
    monkeypatch.setattr(type(store), "get", None)
    assert client.get(path).content == first.content


def test_a_picture_that_changes_has_another_address(client, shop, store, ledger):
    job = shop.published()
    before = client.get(f"/pictures/{job.id}/composite").content
    key = job.object_keys[Stage.COMPOSITE]
    store.put(key, jpeg("orange"), content_type="image/jpeg")
    ledger.transitions.unpublished(job.id)
    assert client.get(f"/pictures/{job.id}/composite").content != before


def test_whole_pictures_come_by_a_url_that_lives_for_seconds(client, shop):
    job = shop.published()
    response = client.get(f"/pictures/{job.id}/composite/whole")
    assert response.status_code == 302
    assert client.get(response.headers["location"]).content == jpeg()


def test_pictures_that_are_not_made_or_gone_are_told(client, shop, store):
    job = shop.new()
    assert client.get(f"/pictures/{job.id}/composite").status_code == 404
    job = shop.published("B")
    store.delete(job.object_keys[Stage.COMPOSITE])
    response = client.get(f"/pictures/{job.id}/composite")
    assert response.status_code == 404
    assert "not in the store any more" in response.text


def test_a_damaged_picture_is_no_server_error(client, shop, store):
    job = shop.published()
    store.put(job.object_keys[Stage.COMPOSITE], b"nonsense", content_type="image/jpeg")
    assert client.get(f"/pictures/{job.id}/composite").status_code == 422


def test_themes_have_a_sample(client, settings):
    text = client.get("/themes").text
    for name in tuple(THEMES):
        assert f"/themes/{name}/sample.jpg" in text
    assert "manual approval" in text
    for name in ("minimal", tuple(THEMES)[-1]):
        sample = client.get(f"/themes/{name}/sample.jpg?width=160")
        with Image.open(io.BytesIO(sample.content)) as image:
            assert max(image.size) == 160


# --- forms -----------------------------------------------------------------------------------


@pytest.fixture
def send(client):
    """Send a form as the page that it is on would."""

    def send(path, page="/review", **fields):
        fields.setdefault("csrf_token", csrf(client.get(page).text))
        return client.post(path, data=fields)

    return send


def test_a_picture_is_approved(send, shop, ledger):
    job, other = shop.waiting("A"), shop.waiting("B")
    response = send(
        f"/review/{job.id}", decision="approve", digest=job.review_digest, after=other.id
    )
    assert response.status_code == 303
    assert response.headers["location"] == f"/review?at={other.id}&said=approved"
    job = ledger.jobs.require(job.id)
    assert (job.review, job.reviewed_by) == (Review.APPROVED, "anybody")


def test_what_waits_before_a_background_is_bought_is_shown_as_its_cut_out(shop, ledger, client):
    job = shop.made("SOFA", "kitchen", stages=2)
    ledger.transitions.hold(job.id, ["size in life is large."], "c" * 64)
    text = client.get("/review").text
    assert 'alt="Cut-out of SOFA in kitchen"' in text
    assert f"/pictures/{job.id}/mask" in text
    assert f"/pictures/{job.id}/composite" not in text


def test_the_place_that_a_check_doubts_is_outlined_in_the_photo(shop, ledger, client):
    job = shop.waiting()
    for page in ("/review", f"/jobs/{job.id}"):
        assert "<rect x=" not in parts_of(client.get(page).text)
    placed = Measure("risk", 0.6, Verdict.WARN, "≤ 0.25", "Look.", (0.125, 0.25, 0.5, 0.75))
    good = Measure("halo", 0.1, Verdict.PASS, box=(0.0, 0.0, 1.0, 1.0))
    checks = (CheckResult("cutout", Stage.MASK, (placed, good)),)
    ledger.transitions.advance(job.id, JobStatus.SHOPIFY_PUSH, checks=checks)
    ledger.transitions.hold(job.id, ["risk is 0.6."], "a" * 64)
    for page in ("/review", f"/jobs/{job.id}"):
        text = client.get(page).text
        parsed(text)
        (rectangle,) = re.findall(r"<rect x=[^>]*/>", parts_of(text))
        assert rectangle == '<rect x="0.125" y="0.25" width="0.375" height="0.5"/>'


def parts_of(page):
    """The photos with outlined places, on a page."""
    return "".join(re.findall(r'<figure class="spots">.*?</figure>', page, re.DOTALL))


def test_a_picture_is_rejected_with_a_reason(send, shop, ledger, client):
    job = shop.waiting()
    send(f"/review/{job.id}", decision="reject", digest=job.review_digest, reason=EVIL)
    job = ledger.jobs.require(job.id)
    assert (job.status, job.review, job.review_note) == (JobStatus.REJECTED, Review.REJECTED, EVIL)
    text = client.get(f"/jobs/{job.id}").text
    assert "Rejected" in text
    assert "<script>alert" not in text


def test_another_background_is_asked_for(send, shop, ledger):
    job = shop.waiting()
    send(f"/review/{job.id}", decision="background", digest=job.review_digest)
    job = ledger.jobs.require(job.id)
    assert (job.variant, job.status, job.review) == (2, JobStatus.QUEUED, None)
    done = shop.published("B")
    page = f"/jobs/{done.id}"
    assert send(f"{page}/background", page=page).headers["location"] == f"{page}?said=background"
    assert ledger.jobs.require(done.id).variant == 2


def test_a_decision_about_another_picture_is_refused(send, shop, ledger, client):
    job = shop.waiting()
    response = send(f"/review/{job.id}", decision="approve", digest="b" * 64)
    assert response.status_code == 409
    assert "look at it again" in response.text
    assert ledger.jobs.require(job.id).review is Review.WAITING
    token = csrf(client.get("/review").text)
    ledger.reviews.approve(job.id, by="Eva")
    for decision in ("approve", "reject", "background"):
        fields = {"decision": decision, "digest": job.review_digest, "csrf_token": token}
        assert client.post(f"/review/{job.id}", data=fields).status_code == 409
    assert client.post(f"/review/{job.id}", data=fields | {"decision": "x"}).status_code == 422


def test_jobs_are_retried_and_cancelled(send, shop, ledger, client):
    job = shop.failed()
    page = f"/jobs/{job.id}"
    assert send(f"{page}/retry", page=page).headers["location"] == f"{page}?said=retried"
    assert ledger.jobs.require(job.id).retry_at is not None
    assert send(f"{page}/cancel", page=page).status_code == 303
    job = ledger.jobs.require(job.id)
    assert (job.status, job.retry_at, job.error_code) == (JobStatus.CANCELLED, None, None)
    assert job.decision == "Cancelled by anybody."
    shown = client.get(page).text
    assert '<span class="state calm">Cancelled</span>' in shown
    assert "Cancelled by anybody.</p><p>No further work until it is retried" in shown
    assert job.id not in client.get("/").text  # it needs nobody
    refused = send(f"{page}/cancel", page=page)
    assert refused.status_code == 409
    parsed(refused.text)


def test_what_is_cancelled_on_its_way_to_a_run_is_left_alone_by_it(shop, ledger):
    job = shop.new()
    (dispatch,) = ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    ledger.transitions.cancel(job.id, by="Eva")
    with pytest.raises(Exception, match="was cancelled"):
        ledger.transitions.begin(dispatch.keys[0], "run-1", again=True)
    assert ledger.jobs.require(job.id).status is JobStatus.CANCELLED
    ledger.transitions.retry(job.id)
    ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert ledger.transitions.begin(job.key, "run-2", again=True).status is JobStatus.QUEUED


def test_what_was_taken_off_can_be_published_again(client, send, shop, ledger):
    job = shop.published()
    page = f"/jobs/{job.id}"
    assert "Publish again" not in client.get(page).text
    ledger.transitions.unpublished(job.id)
    assert "Publish again" in client.get(page).text
    assert "said=published_again" in send(f"{page}/publish", page=page).headers["location"]
    assert ledger.jobs.require(job.id).status is JobStatus.QUEUED
    assert send(f"{page}/publish", page=page).status_code == 409


def test_unpublishing_needs_a_shop(send, shop):
    job = shop.published()
    response = send(f"/jobs/{job.id}/unpublish", page=f"/jobs/{job.id}")
    assert response.status_code == 409
    assert "SHOPIFY_STORE" in response.text


@pytest.mark.parametrize("fields", [{}, {"csrf_token": "nonsense"}, {"csrf_token": ""}])
def test_forms_of_others_are_refused(client, shop, ledger, fields):
    job = shop.waiting()
    approve = {"decision": "approve", "digest": job.review_digest}
    response = client.post(f"/review/{job.id}", data=approve | fields)
    assert response.status_code == 403
    assert "Reload the page" in response.text
    genuine = approve | {"csrf_token": csrf(client.get("/review").text)}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        response = client.post(f"/review/{job.id}", data=genuine, headers=headers)
        assert response.status_code == 403
    assert ledger.jobs.require(job.id).review is Review.WAITING


# --- who may ---------------------------------------------------------------------------------


@pytest.fixture
def tokens(ledger):
    """Secrets of a token that may read, and of one that may write."""
    return {
        scope: ledger.tokens.create(f"{scope} of a test", [scope])[1]
        for scope in (Scope.READ, Scope.WRITE)
    }


@pytest.fixture
def signed_in(settings, ledger, store, tokens):
    """A client with the session of a token of that scope."""

    def sign_in(scope):
        client = ApiClient(create_app(settings, ledger, store))
        answer = client.post("/login", data={"token": tokens[scope], "next": "/jobs"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        return client, {"Cookie": cookie.partition(";")[0]}

    return sign_in


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize("path", [*PAGES, "/jobs/unknownunknown12", "/pictures/x/mask"])
def test_strangers_are_asked_to_sign_in(client, path):
    response = client.get(path)
    assert response.status_code == 303
    where = response.headers["location"]
    assert where.startswith("/login?next=%2F")
    assert client.get(where).status_code == 200


def test_strangers_change_nothing(client, shop, ledger, tokens):
    job = shop.waiting()
    for path in (f"/review/{job.id}", f"/jobs/{job.id}/cancel", "/logout"):
        answer = client.post(path, data={"decision": "approve", "csrf_token": "x"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert ledger.jobs.require(job.id).review is Review.WAITING


def test_who_may_only_read_sees_no_buttons_and_cannot_write(signed_in, shop, ledger):
    job = shop.waiting()
    client, cookie = signed_in(Scope.READ)
    for path in ("/review", f"/jobs/{job.id}", "/jobs"):
        text = client.get(path, headers=cookie).text
        assert "read of a test" in text
        assert "/cancel" not in text
        assert "decision" not in text
    token = csrf(text)
    approve = {"decision": "approve", "digest": job.review_digest, "csrf_token": token}
    answer = client.post(f"/review/{job.id}", data=approve, headers=cookie)
    assert answer.status_code == 403
    assert "scope write" in answer.text
    assert ledger.jobs.require(job.id).review is Review.WAITING


def test_who_may_write_decides_in_their_own_name(signed_in, shop, ledger):
    job = shop.waiting()
    client, cookie = signed_in(Scope.WRITE)
    token = csrf(client.get("/review", headers=cookie).text)
    approve = {"decision": "approve", "digest": job.review_digest, "csrf_token": token}
    assert client.post(f"/review/{job.id}", data=approve, headers=cookie).status_code == 303
    assert ledger.jobs.require(job.id).reviewed_by == "write of a test"
    # A form token is of one session.
    other, others_cookie = signed_in(Scope.READ)
    others = csrf(other.get("/", headers=others_cookie).text)
    assert client.post("/logout", data={"csrf_token": others}, headers=cookie).status_code == 403
    out = client.post("/logout", data={"csrf_token": token}, headers=cookie)
    assert 'photopipe_session=""' in out.headers["set-cookie"]


@pytest.mark.usefixtures("tokens")
def test_a_wrong_token_is_told_and_nothing_is_echoed(client):
    answer = client.post("/login", data={"token": "pp_wrong", "next": "/jobs"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "pp_wrong" not in answer.text
    assert 'value="/jobs"' in answer.text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/\n/evil"]
)
def test_signing_in_never_leads_elsewhere(settings, ledger, store, tokens, target):
    client = ApiClient(create_app(settings, ledger, store))
    answer = client.post("/login", data={"token": tokens[Scope.READ], "next": target})
    assert answer.headers["location"] == "/"
    assert "evil" not in client.get("/login", params={"next": target}).text


# --- words -----------------------------------------------------------------------------------


def test_amounts_and_moments_read_well(ledger):
    now = ledger.database.now()
    assert [usd(Decimal(text)) for text in ("0", "0.07", "1234.5", "0.0004")] == [
        "$0.00",
        "$0.07",
        "$1,234.50",
        "$0.0004",
    ]
    assert [duration(seconds) for seconds in (0.04, 12.4, 61, 3600, 3700, 400_000)] == [
        "0.0 s",
        "12 s",
        "1 min 1 s",
        "1 h",
        "1 h 1 min",
        "4 days",
    ]
    assert [percent(share) for share in (1, 0.9999, 0.5, 0)] == ["100 %", "99.9 %", "50 %", "0 %"]
    away = [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=-2), timedelta(days=3)]
    assert [ago(now - each, now) for each in away] == [
        "just now",
        "5 min ago",
        "in 2 h",
        "3 days ago",
    ]
