"""A product set into a scene: the background behind, the shadow on its ground, the cut-out on top.

The product's own pixels are copied, never computed with, where they are opaque. Work is done only
where it shows: the product in its bounding box, the shadow around its base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photopipe_dagster.errors import CompositeError, PhotoRejected
from photopipe_dagster.imaging.decode import MAX_PIXELS, decode_rgb
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.imaging.shadow import Patch, find_base, reflect, shade

MAX_SIDE = 4472
"""Pixels. Shopify's older limit of a picture's sides; its newer one of 5000 is not everywhere."""

MAX_COMPOSITE_PIXELS = 20_000_000
"""Shopify's older limit of a picture's pixels."""

_VISIBLE = 8
"""Alpha of 255 that counts as visible: fainter haze around a cut-out is not the product."""

_SATURATED = 96
"""Spread of red, green and blue from which halved colour resolution shows at an edge."""


@dataclass(frozen=True, slots=True, eq=False)
class CutoutPicture:
    """A decoded cut-out, kept between stages: the pixels of its bounding box only.

    Args:
        rgb: (box height, box width, 3) uint8, sRGB, straight.
        alpha: (box height, box width) uint8.
        box: Left, top, right, bottom of the product in the whole picture, pixels; right and
            bottom are exclusive.
        width: Pixels of the whole picture.
        height: Pixels of the whole picture.
    """

    rgb: NDArray[np.uint8] = field(repr=False)
    alpha: NDArray[np.uint8] = field(repr=False)
    box: tuple[int, int, int, int]
    width: int
    height: int
    soft: tuple[NDArray[np.intp], NDArray[np.intp]] = field(init=False, repr=False)
    """Rows and columns of the box's pixels that are neither clear nor opaque."""

    def __post_init__(self) -> None:
        # 1 to 254; clear wraps round to 255.
        places = np.flatnonzero((self.alpha - np.uint8(1)) < 254)
        object.__setattr__(self, "soft", np.divmod(places, self.alpha.shape[1]))

    @classmethod
    def from_rgba(cls, rgba: NDArray[np.uint8]) -> CutoutPicture:
        """Keep the product of a cut-out.

        Args:
            rgba: (height, width, 4) uint8, straight alpha, sRGB.

        Raises:
            CompositeError: Nothing in it is visible.
        """
        height, width = rgba.shape[:2]
        alpha = cv2.extractChannel(np.ascontiguousarray(rgba), 3)
        if cv2.minMaxLoc(alpha)[1] < _VISIBLE:
            raise CompositeError(
                "The cut-out is empty: no product was found in the photo. Look at the original; "
                "if it shows a product, use another provider for the cut-out.",
            )
        left, top, across, down = cv2.boundingRect(alpha)
        box = (left, top, left + across, top + down)
        rgb = cv2.cvtColor(rgba[top : box[3], left : box[2]], cv2.COLOR_RGBA2RGB)
        return cls(
            np.asarray(rgb, np.uint8),
            np.ascontiguousarray(alpha[top : box[3], left : box[2]]),
            box,
            width,
            height,
        )

    @classmethod
    def from_png(cls, png: bytes) -> CutoutPicture:
        """Keep the product of a stored cut-out.

        Raises:
            CompositeError: The PNG is damaged, has no transparency, or nothing is visible.
        """
        return cls.from_rgba(decode_cutout(png))

    @property
    def coverage(self) -> float:
        """The product's share of the whole picture, 0 to 1."""
        return float(cv2.sumElems(self.alpha)[0]) / (255 * self.width * self.height)

    @property
    def stands(self) -> bool:
        """Whether the product's lower end is in the picture, so that it has a base to stand on."""
        return self.box[3] < self.height or bool((self.alpha[-1] >= 128).mean() < 0.02)

    def rgba(self) -> NDArray[np.uint8]:
        """The box's pixels: (box height, box width, 4) uint8, straight alpha."""
        return np.dstack((self.rgb, self.alpha))


@dataclass(frozen=True, slots=True)
class Composite:
    """A finished picture.

    Args:
        jpeg: sRGB with its profile embedded; the same bytes for the same inputs.
        width: Pixels.
        height: Pixels.
        box: Left, top, right, bottom of the product, pixels.
        coverage: The product's share of the picture, 0 to 1.
        grounded: Whether it got a shadow: false without a light, and for products that the frame
            cuts off at their lower end.
        full_colour: Whether colour has the full resolution (4:4:4), as saturated edges need.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    box: tuple[int, int, int, int]
    coverage: float
    grounded: bool
    full_colour: bool


def compose(
    cutout: CutoutPicture,
    background: bytes,
    *,
    light: Light | None,
    quality: int = 90,
    size: tuple[int, int] | None = None,
) -> Composite:
    """Set a product into a scene.

    Args:
        cutout: The product, placed as in the photo.
        background: The scene: JPEG, PNG or WebP of any size. It is scaled to cover the picture,
            and its middle is taken.
        light: The light of the scene; ``None`` for no shadow.
        quality: Of the JPEG, 1 to 100.
        size: Width and height of the picture, pixels; the cut-out's own where not given. Another
            shape has the cut-out fitted into its middle. More than Shopify takes is shrunk.

    Raises:
        CompositeError: The background cannot be read.
    """
    width, height = publishable_size(*(size or (cutout.width, cutout.height)))
    cutout = fitted(cutout, width, height)
    scene = cover(background, width, height)
    _blend_into(scene, cutout, light)
    full_colour = _has_saturated_edges(cutout)
    return Composite(
        jpeg=encode_jpeg(scene, quality=quality, full_colour=full_colour),
        width=width,
        height=height,
        box=cutout.box,
        coverage=cutout.coverage,
        grounded=light is not None and cutout.stands,
        full_colour=full_colour,
    )


def blend(
    cutout: CutoutPicture, scene: NDArray[np.uint8], light: Light | None
) -> NDArray[np.uint8]:
    """Set a product into a decoded scene of the same size.

    Args:
        cutout: The product.
        scene: (height, width, 3) uint8, sRGB; not changed.
        light: The light of the scene; ``None`` for no shadow.

    Returns:
        (height, width, 3) uint8, sRGB. Where the cut-out is opaque, exactly its pixels.

    Raises:
        ValueError: The sizes differ.
    """
    if scene.shape != (cutout.height, cutout.width, 3):
        raise ValueError(f"the scene is {scene.shape}, not {(cutout.height, cutout.width, 3)}")
    picture = scene.copy()
    _blend_into(picture, cutout, light)
    return picture


def publishable_size(width: int, height: int) -> tuple[int, int]:
    """The largest size of the same shape that Shopify takes, at most the given one; pixels."""
    shrink = min(1.0, MAX_SIDE / max(width, height))
    shrink = min(shrink, math.sqrt(MAX_COMPOSITE_PIXELS / (width * height)))
    if shrink == 1.0:
        return width, height
    return max(1, math.floor(width * shrink)), max(1, math.floor(height * shrink))


def cover(background: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a scene, scale it until it covers a size, and take its middle.

    Returns:
        (height, width, 3) uint8, sRGB.

    Raises:
        CompositeError: The background cannot be read.
    """
    try:
        scene = decode_rgb(background, max_pixels=MAX_PIXELS, cover=(width, height))
    except PhotoRejected as error:
        raise CompositeError(
            f"The background cannot be used. {error.message} Or delete the stored background so "
            "that it is made again.",
            details=error.details,
        ) from error
    rows, columns = scene.shape[:2]
    if (columns, rows) == (width, height):
        return scene
    scale = max(width / columns, height / rows)
    kept_columns = min(columns, max(1, round(width / scale)))
    kept_rows = min(rows, max(1, round(height / scale)))
    left, top = (columns - kept_columns) // 2, (rows - kept_rows) // 2
    middle = scene[top : top + kept_rows, left : left + kept_columns]
    if middle.shape[:2] == (height, width):
        return np.ascontiguousarray(middle)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (width, height), interpolation=how), np.uint8)


def fitted(cutout: CutoutPicture, width: int, height: int) -> CutoutPicture:
    """Scale a cut-out to fit a size, in its middle; the same object where it fits already."""
    if (cutout.width, cutout.height) == (width, height):
        return cutout
    scale_x, scale_y = _scales(cutout, width, height)
    shift_x = (width - cutout.width * scale_x) / 2
    shift_y = (height - cutout.height * scale_y) / 2
    left, top, right, bottom = cutout.box
    # Whole pixels of the target around the scaled box, and the same area in the source, which
    # begins and ends between its pixels.
    x0 = max(0, math.floor(left * scale_x + shift_x))
    y0 = max(0, math.floor(top * scale_y + shift_y))
    x1 = min(width, math.ceil(right * scale_x + shift_x))
    y1 = min(height, math.ceil(bottom * scale_y + shift_y))
    rim = math.ceil(1 / min(scale_x, scale_y)) + 1
    source = Image.fromarray(_with_rim(cutout, rim))
    area = (
        (x0 - shift_x) / scale_x - left + rim,
        (y0 - shift_y) / scale_y - top + rim,
        (x1 - shift_x) / scale_x - left + rim,
        (y1 - shift_y) / scale_y - top + rim,
    )
    # Pillow multiplies the colours with alpha before it scales, and divides after.
    scaled = np.asarray(source.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, area))
    product = CutoutPicture.from_rgba(scaled)
    x2, y2, x3, y3 = product.box
    box = (x0 + x2, y0 + y2, x0 + x3, y0 + y3)
    return CutoutPicture(product.rgb, product.alpha, box, width, height)


def _scales(cutout: CutoutPicture, width: int, height: int) -> tuple[float, float]:
    """The scale across and down. They differ only where a size of the same shape was rounded:
    there the cut-out fills it, lest a product that the frame cuts off ends short of the frame.
    """
    across, down = width / cutout.width, height / cutout.height
    if abs(across - down) < 1 / cutout.width + 1 / cutout.height:
        return across, down
    return min(across, down), min(across, down)


def _with_rim(cutout: CutoutPicture, rim: int) -> NDArray[np.uint8]:
    """Give the box's pixels a rim for filters to read: transparent, but where the frame cuts the
    product off, its last pixels again, so that it does not fade there.
    """
    left, top, right, bottom = cutout.box
    cut = ((top == 0, bottom == cutout.height), (left == 0, right == cutout.width))
    rows, columns = (tuple(0 if side else rim for side in sides) for sides in cut)
    clear = np.pad(cutout.rgba(), (rows, columns, (0, 0)))
    rows, columns = (tuple(rim if side else 0 for side in sides) for sides in cut)
    return np.pad(clear, (rows, columns, (0, 0)), mode="edge")


def encode_jpeg(rgb: NDArray[np.uint8], *, quality: int = 90, full_colour: bool = False) -> bytes:
    """Write a JPEG in sRGB, with its profile embedded.

    Args:
        rgb: (height, width, 3) uint8, sRGB.
        quality: 1 to 100.
        full_colour: 4:4:4, about 40 % larger, instead of 4:2:0.
    """
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        if full_colour
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    )
    done, encoded = cv2.imencode(
        ".jpg",
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling],
    )
    if not done:
        raise CompositeError("The composite could not be written as JPEG.")
    jpeg = encoded.tobytes()
    # The profile belongs behind the JFIF segment, which has to be the first one.
    after = 4 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == b"\xff\xe0" else 2
    return jpeg[:after] + _profile_segment() + jpeg[after:]


def _blend_into(picture: NDArray[np.uint8], cutout: CutoutPicture, light: Light | None) -> None:
    if light is not None and cutout.stands:
        base = find_base(cutout.alpha)
        _darken(picture, cutout, shade(cutout.alpha, base, light))
        mirrored = reflect(cutout.rgb, cutout.alpha, base, light)
        if mirrored is not None:
            _lay(picture, cutout, mirrored)
    left, top, right, bottom = cutout.box
    target = picture[top:bottom, left:right]
    alpha = cutout.alpha
    soft = cutout.soft
    behind = target[soft].astype(np.uint16)
    cv2.copyTo(cutout.rgb, cv2.inRange(alpha, 255, 255), target)
    share = alpha[soft].astype(np.uint16)[:, None]
    mixed = cutout.rgb[soft] * share + behind * (255 - share) + 127
    target[soft] = (mixed // 255).astype(np.uint8)


def _overlap(
    picture: NDArray[np.uint8], cutout: CutoutPicture, patch: Patch
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The part of a picture that a patch lies on, and the part of the patch in the picture."""
    height, width = patch.pixels.shape[:2]
    left, top = cutout.box[0] + patch.left, cutout.box[1] + patch.top
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(cutout.width, left + width), min(cutout.height, top + height)
    if x0 >= x1 or y0 >= y1:
        return picture[:0, :0], patch.pixels[:0, :0]
    return picture[y0:y1, x0:x1], patch.pixels[y0 - top : y1 - top, x0 - left : x1 - left]


def _darken(picture: NDArray[np.uint8], cutout: CutoutPicture, patch: Patch) -> None:
    ground, factor = _overlap(picture, cutout, patch)
    if ground.size:
        ground[:] = cv2.multiply(ground, factor, scale=1 / 255)


def _lay(picture: NDArray[np.uint8], cutout: CutoutPicture, patch: Patch) -> None:
    ground, mirrored = _overlap(picture, cutout, patch)
    if ground.size:
        left_over = cv2.cvtColor(255 - mirrored[:, :, 3], cv2.COLOR_GRAY2RGB)
        dimmed = cv2.multiply(ground, left_over, scale=1 / 255)
        ground[:] = cv2.add(dimmed, cv2.cvtColor(mirrored, cv2.COLOR_RGBA2RGB))


def _has_saturated_edges(cutout: CutoutPicture) -> bool:
    """Whether the outline is so colourful that halved colour resolution would smear it."""
    # Every fourth pixel tells as much, in a sixteenth of the time.
    alpha = np.ascontiguousarray(cutout.alpha[::4, ::4])
    inner = cv2.erode(alpha, np.ones((3, 3), np.uint8), borderValue=0)
    edge = cutout.rgb[::4, ::4][(alpha >= 128) & (inner < 255)]
    if len(edge) == 0:
        return False
    return bool((np.ptp(edge, axis=1) >= _SATURATED).mean() > 0.15)


@cache
def _profile_segment() -> bytes:
    """The APP2 segment of an sRGB profile (ICC.1:2010, annex B.4)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # The time of creation would make every process write other bytes.
    profile[24:36] = (2020).to_bytes(2, "big") + b"\0\1\0\1" + bytes(6)
    body = b"ICC_PROFILE\0\1\1" + bytes(profile)
    return b"\xff\xe2" + (len(body) + 2).to_bytes(2, "big") + body
