"""Quality gates: bad pictures are stopped or held by the right number, good ones are not."""

from __future__ import annotations

import asyncio
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import dagster as dg
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.decode import MAX_PIXELS
from photopipe_dagster.imaging.measures import (
    CutoutNumbers,
    PictureNumbers,
    View,
    measure_cutout,
)
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.stages.quality import cutout_checks, risk_of
from photopipe_dagster.quality.calibration import Calibration, RiskMap
from photopipe_dagster.quality.gates import (
    CUTOUT_QUALITY,
    DEFAULT_GATES,
    PICTURE_QUALITY,
    AtLeast,
    AtMost,
    CutoutOpinion,
    Gates,
    check_cutout,
    check_picture,
    in_mode,
)
from photopipe_dagster.quality.results import (
    CheckResult,
    Measure,
    Verdict,
    as_record,
    from_record,
    measures_at,
)
from photopipe_dagster.quality.risk import Risk
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.pictures import border_cut_out, gradient
from photopipe_dagster.storage.pictures import CutoutFacts
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.bad_pictures import (
    BAD_CUTOUTS,
    BAD_PHOTOS,
    GOOD,
    ground,
    half_lost,
    hole_filled,
    jpeg,
    mug,
)
from photopipe_dagster_tests.support.world import SECRET, World, photo_of_a_mug, world
from photopipe_dagster_tests.unit.imaging.test_edge_support import moved, room, true_alpha

STOPPED = {
    "tiny": "area",
    "blurred": "blur",
    "black": "brightest",
    "blown": "blown",
    "recoloured": "recoloured",
    "repainted": "changed",
    "moved": "changed",
    "halo": "halo",
    "see-through": "softness",
}
"""The number by which a bad picture fails."""

HELD = {"cropped": "cut off at the frame", "two products": "products"}
"""The number because of which a person looks at a picture."""


def judged(photo: bytes, png: bytes, gates: Gates = DEFAULT_GATES) -> CheckResult:
    cutout = CutoutPicture.from_rgba(decode_cutout(png))
    numbers = measure_cutout(View.of(photo, cutout), cutout)
    return check_cutout(gates, numbers, found=None, opinion=None)


def photo_and_cutout(name: str) -> tuple[bytes, bytes]:
    if name in BAD_CUTOUTS:
        return GOOD, BAD_CUTOUTS[name](GOOD)
    return BAD_PHOTOS[name], border_cut_out(BAD_PHOTOS[name])


@pytest.mark.parametrize("name", STOPPED)
def test_bad_pictures_fail_by_their_fault(name: str):
    assert STOPPED[name] in {each.name for each in judged(*photo_and_cutout(name)).at(Verdict.FAIL)}


@pytest.mark.parametrize("name", HELD)
def test_doubtful_pictures_are_for_a_person(name: str):
    check = judged(*photo_and_cutout(name))
    assert check.verdict is Verdict.WARN
    assert [each.name for each in check.at(Verdict.WARN)] == [HELD[name]]


@pytest.mark.parametrize("photo", [GOOD, *(photo_of_a_mug(number) for number in range(6))])
def test_good_pictures_pass(photo: bytes):
    check = judged(photo, border_cut_out(photo))
    assert check.verdict is Verdict.PASS, [str(each) for each in check.at(Verdict.WARN)]


@pytest.mark.parametrize("colour", [(12, 12, 14), (250, 250, 250), (225, 222, 224), (255, 255, 0)])
@pytest.mark.parametrize("level", [60, 170, 236])
def test_black_white_and_bright_products_are_no_fault(colour: tuple[int, int, int], level: int):
    """A product is drawn with stripes, and cut out by its truth: nothing is wrong with it."""
    photo = mug(ground(level), colour=colour, stripes=-30 if max(colour) > 128 else 30)
    alpha = np.abs(mug(ground(level)).astype(int) - ground(level)).max(axis=2) > 0
    rgba = np.dstack((photo, (alpha * 255).astype(np.uint8)))
    cutout = CutoutPicture.from_rgba(rgba)
    numbers = measure_cutout(View.of(jpeg(photo), cutout), cutout)
    check = check_cutout(DEFAULT_GATES, numbers, found=1.0, opinion=None)
    assert check.verdict is Verdict.PASS, [str(each) for each in check.measures]


def test_limits():
    small, large = AtMost(1, 2), AtLeast(10, 5)
    assert [small.verdict(each) for each in (1, 1.5, 2.5)] == list(Verdict)
    assert [large.verdict(each) for each in (10, 7, 4)] == list(Verdict)
    assert AtMost(1).verdict(1000) is Verdict.WARN
    assert (str(small), str(large)) == ("≤ 1", "≥ 10")


def good_numbers() -> CutoutNumbers:
    cutout = CutoutPicture.from_rgba(decode_cutout(border_cut_out(GOOD)))
    return measure_cutout(View.of(GOOD, cutout), cutout)


@pytest.mark.parametrize(
    ("facts", "name", "words"),
    [
        ({"looks": 0.171}, "looks disagree", "disagree about 17 % of the product"),
        ({"looks": 3.9}, "looks disagree", "disagree about more than 100 % of the product"),
        ({"ground_inside": 0.152}, "ground inside", "shows through inside the outline: 15 %"),
    ],
)
def test_what_the_network_doubts_itself_is_for_a_person_and_never_fails(facts, name, words):
    check = check_cutout(DEFAULT_GATES, good_numbers(), found=1.0, opinion=None, **facts)
    (measure,) = check.at(Verdict.WARN)
    assert (check.verdict, measure.name) == (Verdict.WARN, name)
    assert words in str(measure)


def test_what_the_looks_agree_on_passes():
    check = check_cutout(
        DEFAULT_GATES, good_numbers(), found=1.0, opinion=None, looks=0.15, ground_inside=0.02
    )
    assert check.verdict is Verdict.PASS
    assert {"looks disagree", "ground inside"} <= {each.name for each in check.measures}


def test_a_cut_out_without_such_facts_is_not_judged_by_them():
    check = check_cutout(DEFAULT_GATES, good_numbers(), found=None, opinion=None)
    assert not {"looks disagree", "ground inside"} & {each.name for each in check.measures}


def test_a_theme_sets_its_own_limits_of_doubt():
    facts = {"looks": 0.07, "ground_inside": 0.03}
    lenient = Gates(looks=AtMost(0.1), ground_inside=AtMost(0.05))
    strict = Gates(looks=AtMost(0.01, 0.05))
    lenient_check, strict_check = (
        check_cutout(gates, good_numbers(), found=1.0, opinion=None, **facts)
        for gates in (lenient, strict)
    )
    assert lenient_check.verdict is Verdict.PASS
    assert [each.name for each in strict_check.at(Verdict.FAIL)] == ["looks disagree"]


async def test_the_facts_of_a_cut_out_reach_its_check():
    """Those of the local network are judged; an older or a bought cut-out has none."""
    png = border_cut_out(GOOD)
    cutout = CutoutPicture.from_rgba(decode_cutout(png))
    size = {"width": cutout.width, "height": cutout.height, "model": "u2net/0"}
    doubted = {**size, "disagreement": "0.17", "ground_share": "0.03"}
    settings = SimpleNamespace(
        quality_gates="enforce",
        image_max_pixels=MAX_PIXELS,
        second_opinion="off",
        risk_review=None,
        risk_fail=None,
    )
    services = SimpleNamespace(
        settings=settings,
        themes=THEMES,
        decode_slots=asyncio.Semaphore(),
        calibration=Calibration(),
    )
    photo = cast(
        PhotoContext, SimpleNamespace(services=services, key=SimpleNamespace(theme="default"))
    )
    told = [
        await cutout_checks(photo, GOOD, cutout, CutoutFacts.from_metadata(facts))
        for facts in (doubted, size)
    ]
    assert [{each.name for each in measures_at(checks, Verdict.WARN)} for checks in told] == [
        {"risk", "looks disagree", "ground inside"},
        set(),
    ]


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.05, Verdict.PASS), (0.5, Verdict.WARN), (0.95, Verdict.FAIL)]
)
def test_a_risk_is_reviewed_or_fails_with_its_reasons_and_their_place(value, verdict):
    risk = Risk(value, ("ground may show through the product at the left",), (0.1, 0.2, 0.3, 0.4))
    gates = DEFAULT_GATES.with_risk(review=0.3, fail=0.9)
    check = check_cutout(gates, good_numbers(), found=1.0, opinion=None, risk=risk)
    (measure,) = (each for each in check.measures if each.name == "risk")
    assert (check.verdict, measure.verdict, measure.value) == (verdict, verdict, value)
    assert measure.box == (0.1, 0.2, 0.3, 0.4)
    assert ("Ground may show through" in measure.advice) == (verdict is not Verdict.PASS)
    (kept,) = from_record({"mask": as_record((check,))})
    assert kept == check


def test_a_shops_reading_of_a_risk_goes_before_the_shipped_one():
    check = check_cutout(
        DEFAULT_GATES,
        good_numbers(),
        found=1.0,
        opinion=None,
        risk=Risk(0.5),
        risk_map=RiskMap(offset=-3.0),
    )
    values = {each.name: each.value for each in check.measures}
    assert values["risk"] == pytest.approx(0.0474, abs=1e-4)
    assert values["risk as shipped"] == 0.5
    assert check.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("frame", "sides", "held"),
    [
        (0.0, 0, set()),
        (0.004, 1, set()),
        (0.008, 1, {"cut off at the frame"}),
        (0.001, 2, {"sides of the frame"}),
    ],
)
def test_what_fills_the_photo_from_side_to_side_is_for_a_person(frame, sides, held):
    numbers = replace(good_numbers(), frame=frame, sides=sides)
    check = check_cutout(DEFAULT_GATES, numbers, found=1.0, opinion=None)
    assert {each.name for each in check.at(Verdict.WARN)} == held


def test_what_one_side_cuts_off_may_stay_at_that_side_of_its_picture():
    gates = DEFAULT_GATES.at_the_frame()
    numbers = replace(good_numbers(), frame=0.13, sides=1)
    assert check_cutout(gates, numbers, found=1.0, opinion=None).verdict is Verdict.PASS
    filled = replace(numbers, frame=0.22)
    assert check_cutout(gates, filled, found=1.0, opinion=None).verdict is Verdict.WARN
    theme = Gates(frame=AtMost(0.05))
    assert theme.at_the_frame() == theme


def test_a_measure_that_was_kept_without_a_place_is_read():
    check = CheckResult(CUTOUT_QUALITY, Stage.MASK, (Measure("halo", 0.5, Verdict.WARN),))
    (record,) = as_record((check,))
    assert "box" not in record["measures"][0]
    assert from_record({"mask": [record]}) == (check,)


def test_a_good_cut_out_has_a_low_risk_and_a_damaged_one_a_higher_one():
    def risk(png: bytes) -> float:
        view = View.of(GOOD, CutoutPicture.from_rgba(decode_cutout(png)))
        facts = CutoutFacts(width=view.alpha.shape[1], height=view.alpha.shape[0])
        return risk_of(view, facts, None).value

    good = risk(border_cut_out(GOOD))
    assert good < DEFAULT_GATES.risk.warn
    assert risk(half_lost(GOOD)) > good + 0.1
    assert risk(hole_filled(GOOD)) > good + 0.02


def test_a_network_that_saw_another_product_raises_the_risk_of_a_bought_cut_out():
    view = View.of(GOOD, CutoutPicture.from_rgba(decode_cutout(border_cut_out(GOOD))))
    facts = CutoutFacts(width=view.alpha.shape[1], height=view.alpha.shape[0])
    numbers = {"spread": 0.5, "doubt_inside": 0.2, "doubt_outside": 0.5}
    agrees, differs = (
        risk_of(view, facts, opinion)
        for opinion in (
            CutoutOpinion("network", 0.0, 0),
            CutoutOpinion("network", 0.5, 0, numbers),
        )
    )
    assert differs.value > agrees.value + 0.2


def test_a_picture_beyond_what_its_shop_takes_fails():
    small = DEFAULT_GATES.for_shop(max_bytes=2_000_000, max_pixels=4_000_000)
    numbers = PictureNumbers(bytes=2_100_000, width=2048, height=2048, srgb=True)
    failed = {str(each) for each in check_picture(small, numbers).at(Verdict.FAIL)}
    assert {each.partition(" ")[0] for each in failed} == {"megabytes", "megapixels"}
    assert check_picture(DEFAULT_GATES, numbers).at(Verdict.FAIL) == ()
    assert DEFAULT_GATES.for_shop(max_bytes=20_000_000, max_pixels=20_000_000) == DEFAULT_GATES


def test_a_picture_beyond_what_most_shops_take_fails():
    def verdicts(numbers: PictureNumbers) -> set[str]:
        check = check_picture(DEFAULT_GATES, numbers)
        assert (check.name, check.stage) == (PICTURE_QUALITY, Stage.COMPOSITE)
        return {each.name for each in check.at(Verdict.FAIL)}

    fine = {"bytes": 900_000, "width": 2048, "height": 2048, "srgb": True}
    assert verdicts(PictureNumbers(**fine)) == set()
    assert verdicts(PictureNumbers(**fine | {"bytes": 20_000_001})) == {"megabytes"}
    assert verdicts(PictureNumbers(**fine | {"width": 9800})) == {"megapixels"}
    assert verdicts(PictureNumbers(**fine | {"srgb": False})) == {"sRGB profile"}
    assert verdicts(PictureNumbers(**fine, colours=2.5, worst_colours=9.0)) == {
        "colours",
        "worst colours",
    }
    assert verdicts(PictureNumbers(**fine, second_product=0.05)) == {"second product"}


@pytest.mark.parametrize(
    ("numbers", "held"),
    [
        ({"scale": 2.0, "firmness": 1.0}, {}),
        ({"scale": None, "firmness": None}, {}),
        ({"scale": 2.5}, {"enlarged": 2.5}),
        ({"firmness": 0.906}, {"firmness": 0.906}),
        ({"steepness": 35.0}, {}),
        ({"steepness": 57.1}, {"steepness": 57.1}),
    ],
)
def test_enlarged_unstable_and_steep_products_are_for_a_person(numbers, held):
    picture = PictureNumbers(900_000, 2048, 2048, True, **numbers)
    check = check_picture(DEFAULT_GATES, picture)
    assert not check.at(Verdict.FAIL)
    assert {each.name: each.value for each in check.at(Verdict.WARN)} == held
    assert all(each.advice for each in check.at(Verdict.WARN))


def test_whatever_was_measured_with_dagster_is_handed_pythons_own_types():
    measured = CutoutNumbers(
        area=np.float64(0.3),
        frame=np.float32(0),
        sides=np.intp(0),
        aside=False,
        side=np.int64(900),
        softness=np.float64(1),
        halo=np.float64(0.1),
        recoloured=np.float64(0.5),
        changed=np.float64(0),
        pieces=np.int32(1),
        specks=np.float64(0),
        holes=np.intp(1),
        blur=np.float64(9),
        brightest=np.uint8(200),
        blown=np.float64(0),
    )
    opinion = CutoutOpinion("ground", np.float64(0), np.int64(0))
    size = np.int64(2048)
    numbers = PictureNumbers(size, size, size, np.bool_(True), *[np.float64(0.5)] * 6)
    checks = (
        check_cutout(DEFAULT_GATES, measured, found=np.float32(1), opinion=opinion),
        check_picture(DEFAULT_GATES, numbers),
    )
    for each in (measure for check in checks for measure in check.measures):
        assert type(each.value) in (bool, int, float, str), each.name
    assert [each.name for each in checks[0].at(Verdict.FAIL)] == ["blur"]
    assert [each.verdict for each in checks[1].measures][:3] == [Verdict.PASS] * 3
    json.dumps(as_record(checks))


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(False), False),
        (np.array(2.5), 2.5),
        (np.str_("ground"), "ground"),
        (Colour.RED, "red"),
        (True, True),
    ],
)
def test_a_measures_value_is_plain(value, plain):
    made = Measure("x", value).value
    assert (type(made), made) == (type(plain), plain)


@pytest.mark.parametrize("value", [None, Decimal(1), [1]])
def test_a_measure_is_a_number_or_a_text(value):
    with pytest.raises(TypeError, match="a number or a text"):
        Measure("x", value)


def test_modes():
    check = CheckResult("x", Stage.MASK, (Measure("a", 1, Verdict.FAIL), Measure("b", 2)))
    assert in_mode([check], "enforce") == (check,)
    (lenient,) = in_mode([check], "review")
    assert [each.verdict for each in lenient.measures] == [Verdict.WARN, Verdict.PASS]
    assert in_mode([check], "off") == ()


# --- the whole path ------------------------------------------------------------------------


def bad_provider(photo: bytes) -> bytes:
    """Cuts out well, but for photos that end with a name of a fault."""
    for name, spoil in BAD_CUTOUTS.items():
        if photo.endswith(name.encode()):
            return spoil(photo)
    return border_cut_out(photo)


@contextmanager
def shop_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[World]:
    config = SandboxConfig(webhook_secret=SECRET, cut_out=bad_provider)
    with world(tmp_path, monkeypatch, config=config, **environment) as shop:
        yield shop


def announced(shop: World) -> dict[str, PhotoKey]:
    """All good and bad photos, by what is wrong with them."""
    photos = {"good": GOOD, "empty": jpeg(ground()), **BAD_PHOTOS}
    # What follows a JPEG's end is not read, but makes it another photo.
    photos |= {name: GOOD + name.encode() for name in BAD_CUTOUTS}
    shop.stock(*photos)
    return {name: shop.announce(name, photo) for name, photo in photos.items()}


def short(job: Job, verdict: Verdict) -> set[str]:
    return {each.name for each in measures_at(from_record(job.quality), verdict)}


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], object]:
    found = [
        event.event_specific_data
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    return {(each.check_name, PhotoKey.parse(each.partition).sku): each for each in found}


def test_bad_pictures_are_stopped_or_held_and_good_ones_published(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch) as shop:
        keys = announced(shop)
        result = shop.materialize(list(keys.values()))
        jobs = {name: shop.ledger.jobs.require(key.job_id) for name, key in keys.items()}

        assert jobs["good"].status is JobStatus.DONE
        assert shop.media() == 1
        assert jobs["empty"].error_code is ErrorCode.SEGMENTATION_ERROR
        for name, measure in STOPPED.items():
            job = jobs[name]
            assert (job.status, job.error_code) == (
                JobStatus.FAILED,
                ErrorCode.SEGMENTATION_ERROR,
            ), name
            assert measure in short(job, Verdict.FAIL), name
            assert f"{measure} is " in job.error_message
            assert measure in job.error_details["checks"]
            assert job.retry_at is None
        for name, measure in HELD.items():
            job = jobs[name]
            assert (job.status, job.review) == (JobStatus.SHOPIFY_PUSH, Review.WAITING), name
            # What the frame cuts off is a part of the risk as well.
            assert short(job, Verdict.WARN) - {"risk"} == {measure}
            assert any(f"{measure} is " in reason for reason in job.review_reasons)

        # A background was bought for those alone that were good enough.
        assert {name for name, job in jobs.items() if job.background_cost} == {"good", *HELD}
        assert sum(charge.usd for charge in shop.charges()) == sum(
            (job.total_cost for job in jobs.values()), Decimal(0)
        )

        # Dagster knows of each photo, with its picture and its numbers.
        seen = evaluations(result)
        for each in seen.values():
            kinds = {type(value.value) for value in each.metadata.values()}
            assert kinds <= {bool, int, float, str, list}
        assert {sku for check, sku in seen if check == CUTOUT_QUALITY} == keys.keys() - {"empty"}
        assert {sku for check, sku in seen if check == PICTURE_QUALITY} == {"good", *HELD}
        blurred = seen[CUTOUT_QUALITY, "blurred"]
        assert not blurred.passed
        assert blurred.severity is dg.AssetCheckSeverity.ERROR
        assert "blur is " in blurred.description
        assert blurred.metadata["blur"].value > 5
        assert blurred.metadata["picture"].value.startswith("![](data:image/webp;base64,")
        assert len(blurred.metadata["picture"].value) < 20_000
        assert seen[CUTOUT_QUALITY, "good"].passed
        cropped = seen[CUTOUT_QUALITY, "cropped"]
        assert (cropped.passed, cropped.severity) == (False, dg.AssetCheckSeverity.WARN)
        states = shop.instance.event_log_storage.get_asset_check_partition_info(
            [dg.AssetCheckKey(dg.AssetKey("mask"), CUTOUT_QUALITY)]
        )
        found = {
            PhotoKey.parse(each.partition_key).sku: each.latest_execution_status.value
            for each in states
        }
        # What never had a cut-out was never checked.
        assert found == dict.fromkeys(keys, "FAILED") | {"good": "SUCCEEDED", "empty": "PLANNED"}
        # The picture that failed is there to be looked at.
        assert keys["blurred"].partition_key in shop.materialized("mask")
        # Held photos are no failures; the others are named.
        assert f"{len(STOPPED) + 1} of {len(keys)} photos failed" in str(
            next(event for event in result.all_events if event.is_step_failure)
        )


def hat(side: int = 480) -> bytes:
    """A photo of a striped hat that hangs askew, as it would stand on its point only."""
    rgb = ground()
    middle = side // 2
    corners = [(0, -150), (150, 0), (0, 150), (-150, 0)]
    points = np.array([(middle + x, middle + y) for x, y in corners], np.int32)
    cv2.fillPoly(rgb, [points], (40, 60, 170), cv2.LINE_AA)
    for row in range(-80, 81, 40):
        half = 130 - abs(row)
        ends = [(middle - half, middle + row), (middle + half, middle + row)]
        cv2.line(rgb, *ends, (70, 90, 200), 3)
    return jpeg(rgb)


def pose_and_firmness(shop: World, key: PhotoKey) -> tuple[str, str | None]:
    facts = shop.store.get(key.object_key(Stage.COMPOSITE)).info.metadata
    return facts["pose"], facts.get("firmness")


def test_what_would_stand_on_a_point_rests_on_paper_and_is_held_on_a_table(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch) as shop:
        shop.stock("HAT")
        themes = ("default", "minimal", "shopify-square", "google", "kitchen")
        keys = {theme: shop.announce("HAT", hat(), theme) for theme in themes}
        shop.materialize(list(keys.values()))
        jobs = {theme: shop.ledger.jobs.require(key.job_id) for theme, key in keys.items()}
        poses = {theme: pose_and_firmness(shop, key)[0] for theme, key in keys.items()}
        assert poses == {
            "default": "rests",
            "minimal": "rests",
            "shopify-square": "rests",
            "google": "loose",
            "kitchen": "rests",
        }
        assert short(jobs["kitchen"], Verdict.WARN) == {"firmness"}
        assert jobs["kitchen"].review is Review.WAITING
        assert "firmness is 0." in jobs["kitchen"].review_reasons[0]
        for theme in ("default", "minimal"):
            assert jobs[theme].status is JobStatus.DONE
            assert short(jobs[theme], Verdict.WARN) == set()

        # Earlier versions had it lie: such a picture is made again.
        stored = keys["minimal"].object_key(Stage.COMPOSITE)
        found = shop.store.get(stored)
        earlier = dict(found.info.metadata) | {"pose": "lies"}
        shop.store.put(stored, found.data, content_type="image/jpeg", metadata=earlier)
        assert shop.materialize([keys["minimal"]]).success
        assert pose_and_firmness(shop, keys["minimal"])[0] == "rests"


def plate(degrees: float, side: int = 480) -> bytes:
    """A photo of a plate with rings, from so many degrees above."""
    rgb = ground()
    middle, depth = (side // 2, side // 2), math.sin(math.radians(degrees))
    for radius, colour in ((170, (40, 60, 170)), (150, (70, 90, 200)), (110, (40, 60, 170))):
        cv2.ellipse(
            rgb, middle, (radius, round(radius * depth)), 0, 0, 360, colour, -1, cv2.LINE_AA
        )
    return jpeg(rgb)


def test_what_was_photographed_from_above_is_held_on_a_table(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch) as shop:
        shop.stock("PLATE", "DISH")
        themes = ("default", "minimal", "shopify-square", "google", "kitchen", "outdoors", "luxury")
        steep = {theme: shop.announce("PLATE", plate(50), theme) for theme in themes}
        level = shop.announce("DISH", plate(20), "kitchen")
        shop.materialize([*steep.values(), level])
        jobs = {theme: shop.ledger.jobs.require(key.job_id) for theme, key in steep.items()}
        poses = {theme: pose_and_firmness(shop, key)[0] for theme, key in steep.items()}
        assert poses == {
            "default": "from above",
            "minimal": "from above",
            "shopify-square": "from above",
            "google": "loose",
            "kitchen": "stands",
            "outdoors": "stands",
            "luxury": "stands",
        }
        for theme in ("kitchen", "outdoors", "luxury"):
            assert jobs[theme].review is Review.WAITING, theme
            assert short(jobs[theme], Verdict.WARN) == {"steepness"}
            (reason,) = jobs[theme].review_reasons
            assert "steepness is 5" in reason
            assert "default or minimal" in reason
        for theme in ("default", "minimal"):
            assert jobs[theme].status is JobStatus.DONE
        assert shop.ledger.jobs.require(level.job_id).status is JobStatus.DONE


def test_what_is_known_to_lie_is_not_asked_about(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch, FLAT_LAY_SKUS="TEE-*, CAP[1]?") as shop:
        skus = ("TEE-M", "CAP[1]?", "CAP1X")
        shop.stock(*skus)
        keys = {sku: shop.announce(sku, GOOD, "kitchen") for sku in skus}
        assert shop.materialize(list(keys.values())).success
        found = {sku: pose_and_firmness(shop, key) for sku, key in keys.items()}
        assert found["TEE-M"] == found["CAP[1]?"] == ("hovers", None)
        assert found["CAP1X"][0] == "stands"
        statuses = {shop.ledger.jobs.require(key.job_id).status for key in keys.values()}
        assert statuses == {JobStatus.DONE}


def test_a_small_photo_in_a_large_picture_is_held(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch) as shop:
        shop.stock("A")
        key = shop.announce("A", photo_of_a_mug(3), "amazon-main")
        shop.materialize([key])
        job = shop.ledger.jobs.require(key.job_id)
        assert job.review is Review.WAITING
        assert short(job, Verdict.WARN) == {"enlarged"}
        assert "enlarged is " in job.review_reasons[0]


def test_a_stored_picture_is_judged_again(tmp_path, monkeypatch):
    """For a second theme, after a retry, and by a stage alone: the gate holds everywhere."""
    with shop_of(tmp_path, monkeypatch) as shop:
        shop.stock("A")
        photo = BAD_PHOTOS["blurred"]
        first = shop.announce("A", photo)
        second = shop.announce("A", photo, "luxury")
        assert not shop.materialize([first]).success
        assert not shop.materialize([second]).success
        assert [charge.operation for charge in shop.charges()] == ["remove_background"]
        for key in (first, second):
            assert short(shop.ledger.jobs.require(key.job_id), Verdict.FAIL) == {"blur"}
        shop.ledger.transitions.retry(first.job_id)
        assert shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
        assert not shop.materialize([first]).success
        assert len(shop.charges()) == 1
        # A person may go on by hand with the stages after it: it is not published.
        assert not shop.materialize([first], ["background", "composite", "shopify_media"]).success
        assert shop.media() == 0
        assert "blur is " in shop.ledger.jobs.require(first.job_id).error_message


def test_with_review_a_person_decides_on_what_fails(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch, QUALITY_GATES="review") as shop:
        shop.stock("A")
        key = shop.announce("A", BAD_PHOTOS["blurred"])
        assert shop.materialize([key]).success
        job = shop.ledger.jobs.require(key.job_id)
        assert (job.status, job.review) == (JobStatus.SHOPIFY_PUSH, Review.WAITING)
        shop.ledger.reviews.approve(job.id, by="Ann")
        assert shop.materialize([key]).success
        assert shop.media() == 1


def test_with_off_nothing_is_measured(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch, QUALITY_GATES="off") as shop:
        shop.stock("A")
        key = shop.announce("A", BAD_PHOTOS["blurred"])
        result = shop.materialize([key])
        assert result.success
        assert evaluations(result) == {}
        assert shop.ledger.jobs.require(key.job_id).quality is None
        assert shop.media() == 1


def test_a_subset_evaluates_the_checks_of_its_assets(tmp_path, monkeypatch):
    with shop_of(tmp_path, monkeypatch) as shop:
        key = shop.announce("A", GOOD)
        names = {
            stage: {check for check, _ in evaluations(shop.materialize([key], [stage]))}
            for stage in ("original", "mask", "background", "composite")
        }
        assert names == {
            "original": set(),
            "mask": {CUTOUT_QUALITY},
            "background": set(),
            "composite": {PICTURE_QUALITY},
        }


# --- with the local network ----------------------------------------------------------------


def crowded(prompt: str, width: int, height: int) -> Image.Image:
    """A scene in which a large vase stands beside the place of the product."""
    scene = np.array(gradient(prompt, width, height))
    unit = width // 24
    cv2.ellipse(scene, (20 * unit, 14 * unit), (3 * unit, 6 * unit), 0, 0, 360, (30, 60, 160), -1)
    cv2.ellipse(scene, (20 * unit, 9 * unit), (unit, 2 * unit), 0, 0, 360, (30, 60, 160), -1)
    return Image.fromarray(scene)


def test_a_second_product_on_the_background_stops_the_photo(tmp_path, monkeypatch, model_path):
    narrow = jpeg(mug(ground(), x=0.28, scale=0.7))
    config = SandboxConfig(webhook_secret=SECRET, paint=crowded)
    with world(tmp_path, monkeypatch, config=config, CUTOUT_MODEL_PATH=str(model_path)) as shop:
        shop.stock("A")
        key = shop.announce("A", narrow)
        assert not shop.materialize([key]).success
        job = shop.ledger.jobs.require(key.job_id)
        assert job.error_code is ErrorCode.COMPOSITE_ERROR
        assert short(job, Verdict.FAIL) == {"second product"}
        assert "another background" in job.error_message
        assert shop.media() == 0


def test_without_a_network_a_bought_cut_out_must_lie_on_the_photos_edges(tmp_path, monkeypatch):
    """In a room, where no plain ground tells: one is moved by a tenth of the picture's width."""
    image, alpha = room(), true_alpha()
    photo = jpeg(np.asarray(image))
    outlines = {"right": alpha, "moved": moved(alpha, 0.1)}
    photos = {name: photo + name.encode() for name in outlines}

    def cut_out(sent: bytes) -> bytes:
        name = next(name for name in outlines if sent.endswith(name.encode()))
        out = io.BytesIO()
        Image.fromarray(np.dstack((np.asarray(image), outlines[name]))).save(out, "PNG")
        return out.getvalue()

    config = SandboxConfig(webhook_secret=SECRET, cut_out=cut_out)
    with world(tmp_path, monkeypatch, config=config) as shop:
        shop.stock(*photos)
        keys = {name: shop.announce(name, each) for name, each in photos.items()}
        assert shop.materialize(list(keys.values())).success
        jobs = {name: shop.ledger.jobs.require(key.job_id) for name, key in keys.items()}
        assert jobs["right"].status is JobStatus.DONE, jobs["right"].review_reasons
        assert jobs["moved"].review is Review.WAITING
        assert "outline on edges" in short(jobs["moved"], Verdict.WARN)


def test_a_second_opinion_on_a_bought_cut_out(tmp_path, monkeypatch, model_path):
    spoilt = {"filled": hole_filled, "lost": half_lost}
    photos = {name: GOOD + name.encode() for name in ("fine", *spoilt)}

    def cut_out(photo: bytes) -> bytes:
        for name, spoil in spoilt.items():
            if photo.endswith(name.encode()):
                return spoil(photo)
        return border_cut_out(photo)

    config = SandboxConfig(webhook_secret=SECRET, cut_out=cut_out)
    with world(tmp_path, monkeypatch, config=config, CUTOUT_MODEL_PATH=str(model_path)) as shop:
        shop.stock(*photos)
        keys = {name: shop.announce(name, photo) for name, photo in photos.items()}
        assert shop.materialize(list(keys.values())).success
        jobs = {name: shop.ledger.jobs.require(key.job_id) for name, key in keys.items()}
        assert jobs["fine"].status is JobStatus.DONE
        assert "filled holes" in short(jobs["filled"], Verdict.WARN)
        assert short(jobs["lost"], Verdict.WARN) == {"disagreement", "risk"}
        assert {jobs[name].review for name in spoilt} == {Review.WAITING}
