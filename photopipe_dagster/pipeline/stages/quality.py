"""What the checks of a photo's pictures are told, measured and answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from photopipe_dagster.imaging.composite import CutoutPicture, Pose
from photopipe_dagster.imaging.evidence import measure_evidence
from photopipe_dagster.imaging.measures import View, measure_cutout, measure_picture
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.stages.second_opinion import SecondOpinion
from photopipe_dagster.publishing.flat_lay import FlatLay
from photopipe_dagster.publishing.product_kind import doubtful_kind, misfit
from photopipe_dagster.quality.gates import (
    CutoutOpinion,
    check_cutout,
    check_outline,
    check_picture,
    in_mode,
)
from photopipe_dagster.quality.results import CheckResult
from photopipe_dagster.quality.risk import Risk, risk_model
from photopipe_dagster.storage.pictures import (
    PERSON,
    BackgroundFacts,
    CompositeFacts,
    CutoutFacts,
)
from photopipe_dagster.themes.model import Theme


async def cutout_checks(
    photo: PhotoContext, original: bytes, cutout: CutoutPicture, facts: CutoutFacts
) -> tuple[CheckResult, ...]:
    """Measure a cut-out against its photo: before a background is bought for it.

    A stored cut-out is measured again: the limits may have changed, and it costs a few
    milliseconds.

    Args:
        original: The photo's file.

    Returns:
        Nothing where ``QUALITY_GATES=off``. What fails of a cut-out that a person has repaired
        only warns: the person has seen it, and sees the finished picture.
    """
    settings = photo.services.settings
    if settings.quality_gates == "off":
        return ()
    theme = photo.services.themes.get(photo.key.theme)
    gates = theme.gates.with_limits(photo.services.calibration.limits).with_risk(
        review=settings.risk_review, fail=settings.risk_fail
    )
    keeps_its_side = theme.rules is None and not _has_a_table(theme)

    def measured() -> CheckResult:
        view = View.of(original, cutout, max_pixels=settings.image_max_pixels)
        opinions = SecondOpinion(settings)
        opinion = opinions.of_cutout(view, facts.model or "")
        numbers = measure_cutout(view, cutout)
        check = check_cutout(
            gates.at_the_frame() if keeps_its_side and not numbers.aside else gates,
            numbers,
            found=facts.raw_maximum,
            opinion=opinion,
            looks=facts.disagreement,
            ground_inside=facts.ground_share,
            risk=risk_of(view, facts, opinion),
            risk_map=photo.services.calibration.risk,
        )
        support = opinions.of_outline(view, facts.model or "")
        if support is None:
            return check
        return replace(check, measures=(*check.measures, *check_outline(gates, support)))

    async with photo.services.decode_slots:
        check = await asyncio.to_thread(measured)
    by_hand = facts.provider == PERSON
    return in_mode((check,), "review" if by_hand else settings.quality_gates)


def risk_of(view: View, facts: CutoutFacts, opinion: CutoutOpinion | None) -> Risk:
    """How likely it is that a person would not publish a cut-out, anyone who made it.

    Args:
        view: The cut-out and its photo.
        opinion: What a second witness says; a network's counts where no network cut out.
    """
    own = {
        name: getattr(facts, name)
        for name in ("disagreement", "spread", "doubt_inside", "doubt_outside")
    }
    known = {name: value for name, value in own.items() if value is not None}
    return risk_model().risk(
        measure_evidence(view), {**(opinion.networks if opinion is not None else {}), **known}
    )


async def picture_checks(
    photo: PhotoContext,
    theme: Theme,
    composite: bytes,
    facts: CompositeFacts,
    background: BackgroundFacts,
    flat_lay: FlatLay | None,
    known: KnownProduct | None,
) -> tuple[CheckResult, ...]:
    """Measure a composite, and look for a second product on its background.

    Args:
        theme: With the light of its scene, if it has one.
        composite: The file.
        flat_lay: Whether the product is known to lie, and by whom.
        known: What else is known of it, if anything.

    Returns:
        Nothing where ``QUALITY_GATES=off``.
    """
    settings, limits = photo.services.settings, photo.services.limits
    if settings.quality_gates == "off":
        return ()
    gates = theme.gates.with_limits(photo.services.calibration.limits).for_shop(
        max_bytes=limits.bytes, max_pixels=limits.size.pixels
    )
    stands = facts.pose in (Pose.STANDS, Pose.FLOATING) or (
        facts.pose == Pose.RESTS and _has_a_table(theme)
    )

    def measured() -> CheckResult:
        numbers = measure_picture(
            composite,
            colours=facts.delta_e_median,
            worst_colours=facts.delta_e_p99,
            scale=facts.scale,
            firmness=facts.firmness if stands else None,
            steepness=facts.steepness if stands else None,
            second_product=None
            if facts.box is None
            else SecondOpinion(settings).of_picture(
                composite, facts.box, background.provider or ""
            ),
        )
        return check_picture(
            gates,
            numbers,
            lies_because=lies_with_a_table(theme, facts.pose, flat_lay),
            misfit=None if facts.pose is None else misfit(theme, known),
            kind=doubtful_kind(known),
        )

    async with photo.services.decode_slots:
        check = await asyncio.to_thread(measured)
    return in_mode((check,), settings.quality_gates)


def lies_with_a_table(theme: Theme, pose: str | None, flat_lay: FlatLay | None) -> str | None:
    """Why a product is held to lie that a theme shows with a table; ``None`` where all is well.

    Args:
        pose: In its picture: not only what hovers, but also what the frame cuts off, such as a
            shirt that somebody wears. ``None`` for a picture that was made outside.
        flat_lay: Whether it is known to lie; what a person has said is well.
    """
    if flat_lay is None or flat_lay.set_by_person or pose is None or not _has_a_table(theme):
        return None
    return flat_lay.reason


def _has_a_table(theme: Theme) -> bool:
    return theme.light is not None and not theme.light.plain
