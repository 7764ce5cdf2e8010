"""Composites that are measured before they are let go, on the bytes that will be published.

The product is compared with its original; where a JPEG of the usual quality changes it too much,
a better one is written. The rules of a marketplace are checked the same way, and a picture that
breaks one is placed and written again until it keeps them, or fails with the number that fell
short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import CompositeError
from photopipe_dagster.imaging.composite import (
    QUALITY,
    Composite,
    CutoutPicture,
    Picture,
    Scene,
    assemble,
    has_saturated_edges,
    written,
)
from photopipe_dagster.imaging.fidelity import Fidelity, compare
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import Placement
from photopipe_dagster.imaging.provenance import with_xmp

MAX_MEDIAN: Final = 1.0
"""ΔE2000 of the median pixel under the mask from which a better JPEG is written."""

MAX_P99: Final = 4.0
"""The same of the 99th percentile."""

_ABOUT_AS_WELL: Final = 1.1
"""How many times the best setting's difference a smaller file may have."""

_SETTINGS: Final = ((QUALITY, False), (QUALITY, True), (95, True), (98, True))
"""Quality and full colour resolution, from the smallest file to the most faithful one."""

_SHARED: Final = 3
"""Which of them all pictures in a shared scene have: the finest, so that none needs another."""

_ATTEMPTS: Final = 4

_REACH: Final = 18
"""Pixels: how far a product can show in a JPEG's ground, a block of 16 and its interpolation."""

_LEAST_FRINGE: Final = 240
"""Of 255: the darkest that a JPEG's ripples may leave beside the product; not to be seen."""

_NOT_WHITE: Final = 250
"""Of 255: what is darker in any channel is the product, where its frame share is measured."""

_RIM: Final = 4
"""Pixels of the border that has to be white."""


@dataclass(frozen=True, slots=True)
class FinalBytes:
    """What was measured on a written JPEG.

    Args:
        width: Pixels.
        height: Pixels.
        size: Bytes of the file.
        srgb: Whether an sRGB profile is embedded.
        white: Share of the ground (or border) that is pure white, 0 to 1; of pixels that no
            block of the JPEG shares with the product. ``None`` where no white is asked for.
        fringe: The darkest value that the JPEG left in the clear pixels beside the product,
            of 255; ``None`` the same way.
        frame_share: How much of the frame's width or height the product spans, whichever is
            more: measured in the pixels on a white ground, else by the cut-out.
    """

    width: int
    height: int
    size: int
    srgb: bool
    white: float | None
    fringe: int | None
    frame_share: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A composite with the proof of what it is.

    Args:
        composite: The picture.
        fidelity: The product in it against the cut-out.
        final: What was measured on its bytes.
    """

    composite: Composite
    fidelity: Fidelity
    final: FinalBytes


def finish(
    cutout: CutoutPicture,
    background: bytes,
    scene: Scene,
    *,
    rules: Rules | None = None,
    xmp: bytes | None = None,
) -> Finished:
    """Compose, measure, and do it again where that helps.

    Args:
        cutout, background, scene: As `compose` takes them.
        rules: The marketplace's, if there is one.
        xmp: A packet of metadata for the file.

    Raises:
        CompositeError: The background cannot be read, or a rule cannot be kept.
    """
    if rules is not None:
        cutout = cutout.without_haze()  # it would tint the white

    def composed(placement: Placement) -> Picture:
        return assemble(cutout, background, replace(scene, placement=placement))

    if rules is None:
        # In a scene that many share, one setting for all: the ground is the same, byte for byte.
        first = 0 if scene.stand is None else _SHARED
        return _faithful(composed(scene.placement), first, None, xmp)[0]
    return _within(rules, composed, scene.placement, xmp)


def _within(
    rules: Rules,
    composed: Callable[[Placement], Picture],
    placement: Placement,
    xmp: bytes | None,
) -> Finished:
    """Place and write until the rules are kept."""
    first, missed = 0, []
    for _ in range(_ATTEMPTS):
        finished, setting = _faithful(composed(placement), first, rules, xmp)
        missed = shortcomings(finished.final, rules)
        if not missed:
            return finished
        first = min(setting + 1, len(_SETTINGS) - 1) if _stained(finished.final) else setting
        placement = _refitted(placement, finished.final, rules)
    raise CompositeError(
        f"The picture breaks the rules of {rules.name}: {'; '.join(missed)}. Take the photo again, "
        "or choose another theme.",
        details={"rules": rules.name, "missed": missed},
    )


def shortcomings(final: FinalBytes, rules: Rules) -> list[str]:
    """The rules that a picture breaks, each with its number."""
    missed = []
    if max(final.width, final.height) < rules.min_side:
        missed.append(
            f"its longer side is {max(final.width, final.height)} pixels, not {rules.min_side}"
        )
    if not rules.least_share <= final.frame_share <= rules.most_share:
        missed.append(
            f"the product spans {final.frame_share:.1%} of the frame, not "
            f"{rules.least_share:.0%} to {rules.most_share:.0%}"
        )
    if final.white is not None and final.white < 1:
        missed.append(f"only {final.white:.3%} of the {rules.white} is pure white")
    if final.fringe is not None and final.fringe < _LEAST_FRINGE:
        missed.append(f"the ground beside the product is as dark as {final.fringe} of 255")
    if final.size > rules.max_bytes:
        missed.append(f"its file has {final.size} bytes, more than {rules.max_bytes}")
    if not final.srgb:
        missed.append("it has no sRGB profile")
    return missed


def examine(
    composite: Composite, rgb: NDArray[np.uint8], product: CutoutPicture, rules: Rules | None
) -> FinalBytes:
    """Measure a written picture.

    Args:
        rgb: (height, width, 3) uint8: its JPEG, decoded.
        product: The cut-out at its place in it.
        rules: Say what has to be white.
    """
    white, fringe, share = None, None, composite.frame_share
    if rules is not None:
        clear = np.full(rgb.shape[:2], 255, np.uint8)
        left, top, right, bottom = product.box
        clear[top:bottom, left:right] = cv2.inRange(product.alpha, 0, 0)
        far = cv2.erode(
            clear,
            np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=255,
        )
        darkest = np.asarray(
            cv2.min(cv2.min(*cv2.split(rgb)[:2]), cv2.extractChannel(rgb, 2)), np.uint8
        )
        if rules.white == "border":
            far[_RIM:-_RIM, _RIM:-_RIM] = 0
        else:
            seen = cv2.boundingRect(cv2.inRange(darkest, 0, _NOT_WHITE - 1))
            share = max(seen[2] / composite.width, seen[3] / composite.height)
            beside = darkest[(clear > 0) & (far == 0)]
            fringe = int(np.percentile(beside, 0.1)) if beside.size else 255
        ground = darkest[far > 0]
        white = float((ground == 255).mean()) if ground.size else 1.0
    return FinalBytes(
        width=rgb.shape[1],
        height=rgb.shape[0],
        size=len(composite.jpeg),
        srgb=b"ICC_PROFILE\0" in composite.jpeg[:4096],
        white=white,
        fringe=fringe,
        frame_share=share,
    )


def _faithful(
    picture: Picture, first: int, rules: Rules | None, xmp: bytes | None
) -> tuple[Finished, int]:
    """Write with the smallest setting from `first` on that leaves the product as it was.

    Where none does, as with a noisy photo, it is the smallest that does about as well as the best.
    """
    if first == 0 and has_saturated_edges(picture.product):
        first = 1
    tried: list[Finished] = []
    for quality, full_colour in _SETTINGS[first:]:
        finished = _written(picture, quality, full_colour, rules, xmp)
        tried.append(finished)
        if _difference(finished.fidelity) <= 1:
            return finished, first + len(tried) - 1
    best = min(_difference(finished.fidelity) for finished in tried)
    return next(
        (finished, first + number)
        for number, finished in enumerate(tried)
        if _difference(finished.fidelity) <= _ABOUT_AS_WELL * best
    )


def _difference(fidelity: Fidelity) -> float:
    """How different the product is: 1 where a limit is just kept."""
    return max(fidelity.median / MAX_MEDIAN, fidelity.p99 / MAX_P99)


def _written(
    picture: Picture, quality: int, full_colour: bool, rules: Rules | None, xmp: bytes | None
) -> Finished:
    """Write, read back and measure."""
    product = picture.product
    left, top, right, bottom = product.box
    composite = written(picture, quality=quality, full_colour=full_colour)
    if xmp is not None:
        composite = replace(composite, jpeg=with_xmp(composite.jpeg, xmp))
    rgb = read_back(composite.jpeg)
    fidelity = compare(product.rgb, rgb[top:bottom, left:right], product.alpha)
    return Finished(composite, fidelity, examine(composite, rgb, product, rules))


def read_back(jpeg: bytes) -> NDArray[np.uint8]:
    """Decode what was just written: (height, width, 3) uint8.

    Raises:
        CompositeError: It cannot be decoded.
    """
    rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    if rgb is None:
        raise CompositeError("The composite cannot be read back.")
    return np.asarray(rgb, np.uint8)


def _stained(final: FinalBytes) -> bool:
    """Whether a better JPEG would have a whiter ground."""
    return final.fringe is not None and final.fringe < _LEAST_FRINGE


def _refitted(placement: Placement, final: FinalBytes, rules: Rules) -> Placement:
    """A placement by which the product spans what the rules ask for, and a little more or less."""
    if placement.share is None:
        return placement
    factor = 1.0
    if final.frame_share < rules.least_share:
        factor = 1.005 * rules.least_share / final.frame_share
    elif final.frame_share > rules.most_share:
        factor = 0.995 * rules.most_share / final.frame_share
    elif rules.white == "border" and final.white != 1:
        factor = 0.94  # its shadow reaches the border
    return replace(placement, share=min(1.0, max(0.1, placement.share * factor)))
