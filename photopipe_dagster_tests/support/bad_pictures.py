"""Bad photos, and what bad providers make of good ones."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.sandbox.pictures import border_cut_out

SIZE = 480

Rgb = NDArray[np.uint8]


def ground(level: int = 228) -> Rgb:
    """Studio paper with a camera's noise."""
    fall = np.linspace(8, -8, SIZE)[:, None, None]
    noise = np.random.default_rng(3).normal(0, 1.5, (SIZE, SIZE, 3))
    return np.clip(level + fall + noise, 0, 255).astype(np.uint8)


def mug(
    picture: Rgb, x: float = 0.5, scale: float = 1.0, colour=(170, 40, 30), stripes: int = 40
) -> Rgb:
    """The same picture with a striped mug in it; `x` is its middle, share of the frame."""
    drawn = picture.copy()
    unit = SIZE / 24 * scale
    middle, top = np.array([x * SIZE, 0.5 * SIZE]), np.array([5 * unit, 6.5 * unit])
    ring = (int(middle[0] + 5 * unit), int(middle[1]))
    cv2.ellipse(
        drawn, ring, (round(3 * unit), round(4 * unit)), 0, 0, 360, colour, max(2, round(unit))
    )
    left, right = (tuple(int(each) for each in middle + sign * top) for sign in (-1, 1))
    cv2.rectangle(drawn, left, right, colour, -1)
    stripe = tuple(min(255, channel + stripes) for channel in colour)
    for row in range(left[1] + round(2 * unit), right[1], max(3, round(2 * unit))):
        cv2.line(drawn, (left[0], row), (right[0], row), stripe, max(1, round(unit / 3)))
    return drawn


def jpeg(rgb: Rgb) -> bytes:
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 93])[1].tobytes()


GOOD = jpeg(mug(ground()))

BAD_PHOTOS = {
    "cropped": jpeg(mug(ground(), x=0.14)),
    "two products": jpeg(mug(mug(ground(), 0.22, scale=0.55), 0.72, scale=0.55)),
    "tiny": jpeg(mug(ground(), scale=0.11)),
    "blurred": jpeg(np.asarray(cv2.GaussianBlur(mug(ground()), (0, 0), 7), np.uint8)),
    "black": jpeg(mug(ground(54), colour=(0, 0, 0), stripes=4)),
    "blown": jpeg(mug(ground(150), colour=(255, 255, 255))),
}
"""By what is wrong with them."""


def recoloured(photo: bytes) -> bytes:
    """A provider that paints the product in other colours."""
    rgba = decode_cutout(border_cut_out(photo))
    return encode_cutout(np.ascontiguousarray(rgba[..., [2, 0, 1, 3]]))


def repainted(photo: bytes) -> bytes:
    """A provider that paints a part of the product again, in colours that it has."""
    rgba = decode_cutout(border_cut_out(photo)).copy()
    rows, columns = (slice(SIZE * 4 // 10, SIZE * 6 // 10),) * 2
    rgba[rows, columns, :3] = rgba[rows, columns, :3] // 2 + np.array([20, 60, 90], np.uint8)
    return encode_cutout(rgba)


def moved(photo: bytes, pixels: int = 20) -> bytes:
    """A provider that returns the product in another place."""
    rgba = decode_cutout(border_cut_out(photo))
    return encode_cutout(np.ascontiguousarray(np.roll(rgba, (pixels, pixels // 2), (0, 1))))


def with_halo(photo: bytes) -> bytes:
    """A provider that leaves a rim of the ground on the product."""
    rgba = decode_cutout(border_cut_out(photo)).copy()
    rgba[..., :3] = decode_rgb(photo)
    grown = cv2.dilate(rgba[..., 3], np.ones((11, 11), np.uint8))
    rgba[..., 3] = grown
    return encode_cutout(rgba)


def see_through(photo: bytes) -> bytes:
    """A provider that is not sure of the product."""
    rgba = decode_cutout(border_cut_out(photo)).copy()
    fade = np.linspace(0.2, 1.0, len(rgba))[:, None]
    rgba[..., 3] = (rgba[..., 3] * fade).astype(np.uint8)
    return encode_cutout(rgba)


def hole_filled(photo: bytes) -> bytes:
    """A provider that closes the handle."""
    rgba = decode_cutout(border_cut_out(photo)).copy()
    rgba[..., :3] = decode_rgb(photo)
    contours, _ = cv2.findContours(
        (rgba[..., 3] > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    alpha = np.ascontiguousarray(rgba[..., 3])
    rgba[..., 3] = cv2.drawContours(alpha, contours, -1, 255, -1)
    return encode_cutout(rgba)


def half_lost(photo: bytes) -> bytes:
    """A provider that takes the lower half of the product for ground."""
    rgba = decode_cutout(border_cut_out(photo)).copy()
    rgba[len(rgba) // 2 :] = 0
    return encode_cutout(rgba)


BAD_CUTOUTS = {
    "recoloured": recoloured,
    "repainted": repainted,
    "moved": moved,
    "halo": with_halo,
    "see-through": see_through,
}
"""What a provider makes of a good photo, by what is wrong with it."""
