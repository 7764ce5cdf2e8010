"""What the checks of a photo's pictures are told, measured and answer."""

from __future__ import annotations

import asyncio

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.imaging.composite import CutoutPicture, Pose
from photopipe_dagster.imaging.measures import View, measure_cutout, measure_picture
from photopipe_dagster.pipeline.stages import pictures
from photopipe_dagster.pipeline.stages.second_opinion import SecondOpinion
from photopipe_dagster.pipeline.work import Work
from photopipe_dagster.publishing.flat_lay import Lying
from photopipe_dagster.quality.gates import check_cutout, check_picture, in_mode
from photopipe_dagster.quality.results import CheckResult
from photopipe_dagster.storage.pictures import StoredPicture


async def cutout_checks(
    work: Work, stored: StoredPicture, cutout: CutoutPicture
) -> tuple[CheckResult, ...]:
    """Measure a cut-out against its photo: before a background is bought for it.

    A stored cut-out is measured again: the limits may have changed, and it costs a few
    milliseconds.

    Args:
        stored: The cut-out's record.
        cutout: Its picture.

    Returns:
        Nothing where ``QUALITY_GATES=off``.

    Raises:
        JobError: The original has left the store.
    """
    settings = work.services.settings
    if settings.quality_gates == "off":
        return ()
    original = work.original or await pictures.read(work, Stage.ORIGINAL)
    found = stored.facts.get("raw_maximum")
    provider = stored.facts.get("provider", "")

    def measured() -> CheckResult:
        view = View.of(original, cutout, max_pixels=settings.image_max_pixels)
        return check_cutout(
            work.services.themes.get(work.key.theme).gates,
            measure_cutout(view, cutout),
            found=None if found is None else float(found),
            opinion=SecondOpinion(settings).of_cutout(view, provider),
        )

    async with work.services.pictures:
        check = await asyncio.to_thread(measured)
    return in_mode((check,), settings.quality_gates)


async def picture_checks(
    work: Work,
    stored: StoredPicture,
    background: StoredPicture,
    lying: Lying | None,
) -> tuple[CheckResult, ...]:
    """Measure a composite, and look for a second product on its background.

    Args:
        stored: The composite's record.
        background: Its background's.
        lying: Whether the product is known to lie, and by whom.

    Returns:
        Nothing where ``QUALITY_GATES=off``.

    Raises:
        JobError: A picture has left the store.
    """
    settings = work.services.settings
    if settings.quality_gates == "off":
        return ()
    composite = work.composite or await pictures.read(work, Stage.COMPOSITE)
    provider = background.facts.get("provider", "")
    box = _box(stored.facts.get("box"))
    pose = stored.facts.get("pose")
    on_a_table = pose in (Pose.STANDS, Pose.HOVERS)
    doubted = lying is not None and not lying.said and pose == Pose.HOVERS

    def measured() -> CheckResult:
        numbers = measure_picture(
            composite,
            colours=_number(stored.facts.get("delta_e_median")),
            worst_colours=_number(stored.facts.get("delta_e_p99")),
            scale=_number(stored.facts.get("scale")),
            firmness=_number(stored.facts.get("firmness")) if on_a_table else None,
            steepness=_number(stored.facts.get("steepness")) if on_a_table else None,
            second_product=None
            if box is None
            else SecondOpinion(settings).of_picture(composite, box, provider),
        )
        return check_picture(
            work.services.themes.get(work.key.theme).gates,
            numbers,
            hovers_because=lying.why if lying is not None and doubted else None,
        )

    async with work.services.pictures:
        check = await asyncio.to_thread(measured)
    return in_mode((check,), settings.quality_gates)


def _box(text: str | None) -> tuple[int, int, int, int] | None:
    """Where the product is, as `composite` wrote it down; not known of pictures from outside."""
    if text is None:
        return None
    left, top, right, bottom = (int(side) for side in text.split())
    return left, top, right, bottom


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
