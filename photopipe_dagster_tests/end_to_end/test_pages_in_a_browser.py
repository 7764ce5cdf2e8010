"""A person's walk through the pages, in Chromium, over the real simulators.

The machine's own Chromium is used: the one that PHOTOPIPE_CHROMIUM names, or the first on the path.
Where there is none, the same walk is made without a browser, and says so loudly: then neither the
pages' script nor their accessibility is tested.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors import dispatch
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.operations.themes import copy_theme
from photopipe_dagster_tests.support.browser import VARIABLE, find_chromium
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

DESKTOP, PHONE = 1280, 390
"""Pixels."""
SERIOUS = ("serious", "critical")

CHROMIUM = find_chromium()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A published photo, one that failed, and two that wait for a person."""
    with (
        pytest.MonkeyPatch.context() as environment,
        world(
            Path(tmp_path_factory.mktemp("shop")),
            environment,
            APPROVAL_REQUIRED="luxury",
            COST_LIMIT_DAILY_USD="5",
        ) as shop,
    ):
        shop.stock("MUG-1", "MUG-2", "MUG-3")
        shop.materialize(
            [
                shop.announce("MUG-1", photo_of_a_mug(1)),
                shop.announce("NOBODY-SELLS-IT", photo_of_a_mug(2)),
                shop.announce("MUG-2", photo_of_a_mug(3), "luxury"),
                shop.announce("MUG-3", photo_of_a_mug(4), "luxury"),
            ]
        )
        copy_theme(shop.settings, shop.ledger, "luxury", "ours", by="ann")
        keys = [PhotoKey("MUG-2", f"{number:064x}", "kitchen") for number in range(3)]
        batch = shop.ledger.batches.start(keys, what="an old one", by="ann", estimate=Decimal(3))
        shop.ledger.batches.cancel(batch.id)
        yield shop


def tick(shop: World) -> None:
    """What the daemon does every few seconds: dispatch what is due, and run it."""
    context = dg.build_sensor_context(
        instance=shop.instance,
        resources={"photopipe": PhotopipeResource()},
        repository_def=defs.get_repository_def(),
    )
    result = dispatch.photo_dispatch(context)
    assert isinstance(result, dg.SensorResult), result
    for request in result.dynamic_partitions_requests or []:
        shop.instance.add_dynamic_partitions("photos", request.partition_keys)
    for request in result.run_requests or []:
        defs.resolve_job_def("photos").execute_in_process(
            instance=shop.instance, partition_key=request.partition_key, tags=request.tags
        )


def paths(shop: World) -> list[str]:
    """Every page, with a job of each kind."""
    jobs = shop.ledger.jobs.find(JobQuery(), limit=9)
    own = [f"/jobs/{job.id}" for job in jobs]
    waiting = shop.ledger.reviews.waiting(limit=1)[0]
    own += [f"/jobs/{jobs[0].id}/themes", f"/jobs/{waiting.id}/repair", "/photos/new"]
    own += [f"/batches/{batch.id}" for batch in shop.ledger.batches.newest()]
    fixed = ["/", "/?days=1", "/jobs", "/jobs?sku=none", "/review", "/gallery", "/themes", "/login"]
    fixed += ["/scenes", "/themes/default/collection", "/themes/ours/edit"]
    return [*fixed, "/batches", "/batches/new", *own, "/jobs/unknownunknown12"]


if CHROMIUM is None:

    def test_a_picture_is_approved_and_published_without_a_browser(shop: World):
        warnings.warn(
            f"NO CHROMIUM: install one, or name one in {VARIABLE}. The pages' script and their "
            "accessibility are not tested.",
            stacklevel=1,
        )
        with httpx.Client(base_url=shop.api_url) as client:
            for path in paths(shop):
                assert client.get(path).status_code in (200, 404), path
            assert 'href="/review"' in client.get("/").text
            page = client.get("/review").text
            job = shop.ledger.reviews.waiting(limit=1)[0]
            fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
            answer = client.post(f"/review/{job.id}", data=fields | {"decision": "approve"})
            assert answer.status_code == 303
        tick(shop)
        assert shop.ledger.jobs.require(job.id).status is JobStatus.DONE

else:

    @pytest.fixture(scope="module")
    def chromium():
        with sync_playwright() as playwright:
            # Chromium's own sandbox does not work for root, nor in many containers.
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            yield browser
            browser.close()

    @pytest.fixture
    def page(chromium, shop: World) -> Iterator[Page]:
        """A page that fails the test if its script does, or if something is refused."""
        page = chromium.new_page(base_url=shop.api_url, viewport={"width": 1280, "height": 900})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text)
                if message.type == "error" and "404" not in message.text
                else None
            ),
        )
        yield page
        page.close()
        assert faults == []

    @pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
    def test_nothing_serious_keeps_people_out(page: Page, shop: World, width: int, scheme: str):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found = {}
        for path in paths(shop):
            page.goto(path)
            report = Axe().run(page)
            found[path] = [
                (each["id"], [node["html"] for node in each["nodes"]][:3])
                for each in report.response["violations"]
                if each["impact"] in SERIOUS
            ]
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} pixels wide"
        assert {path: what for path, what in found.items() if what} == {}

    def test_a_picture_is_found_approved_and_published(page: Page, shop: World):
        media = shop.media()
        page.goto("/")
        expect(page.get_by_text("In review")).to_have_count(2)
        page.get_by_role("link", name="Jobs", exact=True).click()
        page.get_by_label("SKU or job id").fill("MUG-2")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="MUG-2").click()
        expect(page.get_by_role("heading", name="Awaiting review")).to_be_visible()
        expect(page.get_by_text("APPROVAL_REQUIRED")).to_be_visible()

        page.get_by_role("link", name="Review it").click()
        slider = page.get_by_role("slider")
        expect(slider).to_have_value("50")
        slider.press("Home")
        assert page.locator(".compare").evaluate("each => each.style.cssText") == "--at: 0%;"

        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Approved"))
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="MUG-2"), limit=2)
        assert job.review is Review.APPROVED

        tick(shop)
        assert shop.media() == media + 1
        page.goto(f"/jobs/{job.id}")
        expect(page.locator(".head .state")).to_have_text("Published")
        page.get_by_role("link", name="Gallery").click()
        expect(page.get_by_role("link", name="MUG-2")).to_be_visible()
        shown = page.locator(".gallery img").first
        assert shown.evaluate("async each => { await each.decode(); return each.naturalWidth }")

    def test_a_cutout_is_repaired_with_the_brush(page: Page, shop: World):
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="MUG-3"), limit=2)
        page.goto(f"/review?at={job.id}")
        page.keyboard.press("c")
        says = page.get_by_role("status")
        expect(says).to_have_text("No changes yet.")
        canvas = page.get_by_role("img", name="The photo")
        box = canvas.bounding_box()
        assert box is not None
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.keyboard.press("2")  # Remove
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 40, middle[1], steps=4)
        page.mouse.up()
        expect(says).to_have_text("1 change, not used yet.")
        page.keyboard.press("u")
        expect(says).to_have_text("No changes yet.")
        page.get_by_role("button", name="Redo").click()
        expect(says).to_have_text("1 change, not used yet.")
        page.get_by_role("button", name="Use this cut-out").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("repaired"))
        tick(shop)
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="MUG-3"), limit=2)
        assert job.review is Review.WAITING
        page.goto(f"/jobs/{job.id}/repair")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Take it back").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("before the repair"))
        tick(shop)

    def test_a_picture_is_rejected_by_keys_alone(page: Page, shop: World):
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="MUG-3"), limit=2)
        page.goto(f"/review?at={job.id}")
        page.keyboard.press("r")
        page.keyboard.press("Enter")  # without a reason, it asks for one
        assert shop.ledger.jobs.require(job.id).review is Review.WAITING
        page.keyboard.type("too dark, and a")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text(re.compile("Rejected"))
        job = shop.ledger.jobs.require(job.id)
        assert (job.status, job.review_note) == (JobStatus.REJECTED, "too dark, and a")

    def test_arrows_and_b_are_keys_too(page: Page, shop: World):
        for sku in ("MUG-4", "MUG-5"):
            shop.stock(sku)
        keys = [shop.announce(sku, photo_of_a_mug(7), "luxury") for sku in ("MUG-4", "MUG-5")]
        shop.materialize(keys)
        waiting = shop.ledger.reviews.waiting(limit=9)[-2:]
        page.goto(f"/review?at={waiting[0].id}")
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(waiting[1].id))
        page.keyboard.press("ArrowLeft")
        expect(page).to_have_url(re.compile(waiting[0].id))
        page.keyboard.press("b")
        expect(page.get_by_role("status")).to_have_text(re.compile("Another background"))
        assert shop.ledger.jobs.require(waiting[0].id).variant == 2

    def test_a_failed_photo_is_retried_and_stopped(page: Page, shop: World):
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/jobs?status=FAILED&sku=NOBODY")
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Retry queued"))
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Cancelled"))
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="NOBODY-SELLS-IT"), limit=2)
        assert job.status is JobStatus.CANCELLED

    def test_a_batch_is_asked_for_begun_and_cancelled(page: Page, shop: World):
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/")
        page.get_by_role("link", name="Batches").click()
        page.get_by_role("link", name="New batch").click()
        card = page.get_by_role("region", name="In another theme")
        card.get_by_label("Theme").select_option("outdoors")
        card.get_by_label("All products").check()
        # Set at once: typing thousands of lines takes a browser on a busy machine half a minute.
        card.get_by_label("SKUs, one a line").evaluate("""(area) => {
            const skus = Array.from({ length: 3000 }, (_, number) => `SKU-${number}`);
            area.value = ["MUG-1", ...skus].join("\\n");
            area.dispatchEvent(new Event("input", { bubbles: true }));
        }""")
        expect(card.get_by_label("These SKUs")).to_be_checked()
        card.get_by_role("button", name="Estimate cost").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Theme outdoors for 1 product")
        expect(page.get_by_text("3,000 SKUs are unknown")).to_be_visible()
        report = Axe().run(page)
        assert [e["id"] for e in report.response["violations"] if e["impact"] in SERIOUS] == []
        before = len(shop.ledger.batches.newest())
        page.get_by_role("button", name="Start batch (1 photo)").dblclick()
        expect(page.get_by_role("status")).to_have_text(re.compile("Batch started"))
        assert len(shop.ledger.batches.newest()) == before + 1
        page.get_by_role("button", name="Cancel remaining").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Batch cancelled"))
        assert shop.ledger.batches.newest()[0].state == "cancelled"

    def test_what_a_page_said_stays_when_it_looks_again(page: Page, shop: World):
        key = PhotoKey("MUG-2", f"{9:064x}", "kitchen")
        batch = shop.ledger.batches.start([key], what="one", by="ann", estimate=Decimal(0))
        try:
            page.clock.install()
            page.goto(f"/batches/{batch.id}?said=batch_begun")
            said = page.get_by_role("status")
            said.evaluate("(notice) => { window.notice = notice; }")
            page.locator("h1").evaluate("(title) => title.setAttribute('data-old', '')")
            page.clock.run_for(5000)
            expect(page.locator("h1[data-old]")).to_have_count(0)  # it has looked
            expect(said).to_have_text(re.compile("Batch started"))
            assert said.evaluate("(notice) => notice === window.notice")
        finally:
            shop.ledger.batches.cancel(batch.id)

    def test_a_form_is_sent_once_and_says_that_it_is_busy(page: Page, shop: World):
        page.goto("/batches/new")
        # In place of the browser, which would send what nobody has stopped.
        page.evaluate("""() => {
            window.sent = 0;
            document.addEventListener("submit", (event) => {
                if (!event.defaultPrevented) window.sent += 1;
                event.preventDefault();
            });
        }""")
        button = page.get_by_role("region", name="Failed photos").get_by_role("button")
        button.dblclick()
        expect(button).to_have_text("Estimating …")
        expect(button).to_have_attribute("aria-busy", "true")
        assert page.evaluate("window.sent") == 1
        page.evaluate("dispatchEvent(new Event('pageshow'))")  # back again
        expect(button).to_have_text("Estimate cost")
        button.click()
        assert page.evaluate("window.sent") == 2

    def test_what_is_published_is_taken_off_the_shop(page: Page, shop: World):
        page.on("dialog", lambda dialog: dialog.accept())
        (job,) = shop.ledger.jobs.find(JobQuery(sku_part="MUG-1"), limit=2)
        media = shop.media()
        page.goto(f"/jobs/{job.id}")
        page.get_by_role("button", name="Unpublish").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Unpublished"))
        assert shop.media() == media - 1
        assert shop.ledger.jobs.require(job.id).media_id is None
