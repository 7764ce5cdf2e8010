"""A product set into a scene: the background behind, the shadow on its ground, the cut-out on top.

The product's own pixels are copied, never computed with, where they are opaque. Work is done only
where it shows: the product in its bounding box, the shadow around its base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import CompositeError, PhotoRejectedError
from photopipe_dagster.imaging.decode import MAX_PIXELS, decode_rgb, describe
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.placement import (
    AS_PHOTOGRAPHED,
    TWENTY_MEGAPIXELS,
    Box,
    Canvas,
    Placement,
    SizeLimit,
    Spot,
    Stand,
    frame_share,
    place,
    place_in_scene,
)
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.imaging.provenance import first_segment_end
from photopipe_dagster.imaging.shadow import (
    Patch,
    find_base,
    reflect,
    shade,
    shade_from_above,
    shade_hovering,
    shade_lying,
    shade_resting,
)
from photopipe_dagster.imaging.stability import firmness
from photopipe_dagster.imaging.tone import gains, matched
from photopipe_dagster.imaging.viewpoint import RoundBase, round_base

QUALITY = 90
"""Of the JPEG, unless more is needed."""

_VISIBLE = 8
"""Alpha of 255 that counts as visible: fainter haze around a cut-out is not the product."""

_SATURATED = 96
"""Spread of red, green and blue from which halved colour resolution shows at an edge."""


class Pose(StrEnum):
    """How a product is set into its scene, which decides its shadow."""

    STANDS = "stands"
    """On its base, on the ground."""
    FROM_ABOVE = "from above"
    """On its base, on a plain ground, both seen from steeply above."""
    RESTS = "rests"
    """It would stand on a point or tip over, but may stand anyway: nobody says it lies."""
    LIES = "lies"
    """On a plain ground, seen from above: it is known to."""
    FLOATING = "hovers"
    """Over a table: it is known to lie or hang in its photo."""
    LOOSE = "loose"
    """Without any shadow: on white, or cut off at its lower end by the frame."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How a product is set into its background.

    Args:
        light: ``None`` for no shadow.
        placement: How the product sits.
        canvas: The picture's size or shape; the photo's own where not given.
        limit: The largest picture; more is shrunk.
        tone_match: Whether the background's tone is brought towards the product's.
        lies: Whether the product is known to lie or hang in its photo, whatever its outline says.
        stand: Where products stand, in a scene that many share: its tone stays as it is, and the
            canvas is the background's own size.
    """

    light: Light | None
    placement: Placement = AS_PHOTOGRAPHED
    canvas: Canvas | None = None
    limit: SizeLimit = TWENTY_MEGAPIXELS
    tone_match: bool = False
    lies: bool = False
    stand: Stand | None = None


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
    box: Box
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
    def size_in_memory(self) -> int:
        """Bytes."""
        return sum(each.nbytes for each in (self.rgb, self.alpha, *self.soft))

    @property
    def coverage(self) -> float:
        """The product's share of the whole picture, 0 to 1."""
        return float(cv2.sumElems(self.alpha)[0]) / (255 * self.width * self.height)

    @property
    def stands(self) -> bool:
        """Whether the product's lower end is in the picture, so that it has a base to stand on."""
        return self.box[3] < self.height or bool((self.alpha[-1] >= 128).mean() < 0.02)

    @property
    def visible_box(self) -> Box:
        """The box without the haze around the product, in the whole picture."""
        haze_free = cv2.inRange(self.alpha, _VISIBLE, 255)
        left, top, across, down = cv2.boundingRect(haze_free)
        left, top = left + self.box[0], top + self.box[1]
        return left, top, left + across, top + down

    @property
    def hull_area(self) -> float:
        """Pixels of the convex hull of all that is seen of the product: how large it looks, be it
        solid or a bicycle; at least 1.
        """
        solid = self.alpha >= 128
        if not solid.any():  # glass
            solid = self.alpha >= _VISIBLE
        rows = np.flatnonzero(solid.any(axis=1))
        first = solid[rows].argmax(axis=1)
        last = solid.shape[1] - solid[rows, ::-1].argmax(axis=1)
        # Both ends of each row hold the hull's corners: the pixels between them say nothing.
        corners = [(x, y) for x in (first, last) for y in (rows, rows + 1)]
        points = np.concatenate([np.stack(each, axis=1) for each in corners]).astype(np.int32)
        return max(1.0, float(cv2.contourArea(cv2.convexHull(points))))

    def without_haze(self) -> CutoutPicture:
        """The same product with all that is not visible made clear."""
        rgba = self.rgba()
        rgba[:, :, 3][self.alpha < _VISIBLE] = 0
        product = CutoutPicture.from_rgba(rgba)
        left, top = self.box[0] + product.box[0], self.box[1] + product.box[1]
        return _laid(product, left, top, (self.width, self.height))

    def rgba(self) -> NDArray[np.uint8]:
        """The box's pixels: (box height, box width, 4) uint8, straight alpha."""
        return np.dstack((self.rgb, self.alpha))


@dataclass(frozen=True, slots=True)
class Setting:
    """How a product is set on its ground, and what that was told by.

    Args:
        pose: What decides its shadow.
        firmness: How well it stands, see `stance`; ``None`` without a ground or a lower end.
        base: The round base that it is seen to stand on, see `viewpoint`, in pixels of the placed
            cut-out's box; ``None`` where none was found.
        azimuth: Where the light comes from that throws its shadow, degrees; ``None`` where none is
            thrown.
    """

    pose: Pose
    firmness: float | None = None
    base: RoundBase | None = None
    azimuth: float | None = None

    @property
    def steepness(self) -> float | None:
        """Degrees by which the camera looked down; ``None`` where the outline does not tell."""
        if self.firmness is None or self.base is None:
            return None
        return self.base.degrees


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A composite before it is written.

    Args:
        rgb: (height, width, 3) uint8, sRGB.
        product: The cut-out at its place and scale in this picture.
        spot: That place.
        setting: How it was set there.
    """

    rgb: NDArray[np.uint8] = field(repr=False)
    product: CutoutPicture
    spot: Spot
    setting: Setting


@dataclass(frozen=True, slots=True)
class Composite:
    """A finished picture.

    Args:
        jpeg: sRGB with its profile embedded; the same bytes for the same inputs.
        width: Pixels.
        height: Pixels.
        box: Left, top, right, bottom of the product, pixels.
        coverage: The product's share of the picture's area, 0 to 1.
        frame_share: How much of the picture's width or height it spans, whichever is more.
        scale: How much the product was enlarged (over 1) or shrunk.
        pose: How it was set into the scene.
        firmness: How well it stands, see `stance`; ``None`` without a ground or a lower end.
        steepness: Degrees by which the camera looked down on it, see `viewpoint`; 0 where its
            outline does not tell, ``None`` without a ground or a lower end.
        full_colour: Whether colour has the full resolution (4:4:4), as saturated edges need.
        quality: Of the JPEG.
        ground: Where the product's lower end is, as a share of the picture's height.
        optical: Its optical size, see `placement.Stand`.
        shadow: Where the light comes from that throws its shadow, degrees; ``None`` where it has
            no shadow, or one without a direction.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    box: Box
    coverage: float
    frame_share: float
    scale: float
    pose: Pose
    firmness: float | None
    steepness: float | None
    full_colour: bool
    quality: int
    ground: float
    optical: float
    shadow: float | None


def compose(
    cutout: CutoutPicture,
    background: bytes,
    scene: Scene,
) -> Composite:
    """Set a product into a scene and write the picture.

    Args:
        cutout: The product in its photo.
        background: The scene's picture: JPEG, PNG or WebP of any size. It is scaled to cover the
            picture, and its middle is taken.
        scene: Its light, and how the product sits in it.

    Raises:
        CompositeError: The background cannot be read.
    """
    return written(assemble(cutout, background, scene))


def assemble(
    cutout: CutoutPicture,
    background: bytes,
    scene: Scene,
) -> Picture:
    """Set a product into a scene, as `compose` does, without writing the picture.

    Raises:
        CompositeError: The background cannot be read.
    """
    spot = _spot(cutout, background, scene)
    product = placed(cutout, spot)
    picture = cover(background, spot.width, spot.height)
    if scene.tone_match and scene.stand is None:
        picture = matched(picture, gains(cutout.rgb, cutout.alpha, picture))
    setting = _setting(cutout.alpha, product, scene.light, lies=scene.lies)
    if scene.light is not None and setting.pose not in (Pose.LOOSE, Pose.RESTS, Pose.FLOATING):
        setting = replace(setting, azimuth=scene.light.azimuth_degrees)
    _blend_into(picture, product, scene.light, setting)
    return Picture(picture, product, spot, setting)


def _spot(cutout: CutoutPicture, background: bytes, scene: Scene) -> Spot:
    box, size = cutout.visible_box, (cutout.width, cutout.height)
    if scene.stand is not None:
        info = describe(background)
        return place_in_scene(
            box,
            size,
            (info.width, info.height),
            scene.stand,
            scene.placement,
            hull_area=cutout.hull_area,
        )
    return place(box, size, scene.placement, scene.canvas, stands=cutout.stands, limit=scene.limit)


def written(
    picture: Picture, *, quality: int = QUALITY, full_colour: bool | None = None
) -> Composite:
    """Write a picture.

    Args:
        quality: Of the JPEG, 1 to 100.
        full_colour: Whether colour has the full resolution; where not given, it has for products
            with saturated edges.
    """
    product, spot = picture.product, picture.spot
    if full_colour is None:
        full_colour = has_saturated_edges(product)
    return Composite(
        jpeg=encode_jpeg(picture.rgb, quality=quality, full_colour=full_colour),
        width=spot.width,
        height=spot.height,
        box=product.box,
        coverage=product.coverage,
        frame_share=frame_share(product.visible_box, spot.width, spot.height),
        scale=spot.scale,
        pose=picture.setting.pose,
        firmness=picture.setting.firmness,
        steepness=picture.setting.steepness,
        full_colour=full_colour,
        quality=quality,
        ground=product.visible_box[3] / spot.height,
        optical=math.sqrt(product.hull_area / (spot.width * spot.height)),
        shadow=picture.setting.azimuth,
    )


def _setting(
    outline: NDArray[np.uint8], product: CutoutPicture, light: Light | None, *, lies: bool
) -> Setting:
    """Decide how a product is set on a ground.

    Args:
        outline: Alpha of the cut-out as it was made.
        product: The cut-out at its place and scale.
        lies: Whether it is known to lie, whatever its outline says.
    """
    if light is None or not product.stands:
        return Setting(Pose.LOOSE)
    base = None if lies else round_base(product.alpha)
    firm = firmness(outline)
    if base is not None and base.steep:
        # What shows its base stands on it, however pointed that may look from there.
        return Setting(Pose.FROM_ABOVE if light.plain else Pose.STANDS, max(1.0, firm), base)
    if firm >= 1 and not lies:
        return Setting(Pose.STANDS, firm, base)
    if lies:
        return Setting(Pose.LIES if light.plain else Pose.FLOATING, firm, base)
    return Setting(Pose.RESTS, firm, base)


def cover(background: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a scene, scale it until it covers a size, and take its middle.

    Returns:
        (height, width, 3) uint8, sRGB.

    Raises:
        CompositeError: The background cannot be read.
    """
    try:
        scene = decode_rgb(background, max_pixels=MAX_PIXELS, cover=(width, height))
    except PhotoRejectedError as error:
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


def placed(cutout: CutoutPicture, spot: Spot) -> CutoutPicture:
    """Scale and move a cut-out to its place; the same object where it is there already."""
    if spot.moved_only:
        if spot == Spot(cutout.width, cutout.height, 1, 1, 0, 0):
            return cutout
        left, top = cutout.box[0] + round(spot.left), cutout.box[1] + round(spot.top)
        return _laid(cutout, left, top, (spot.width, spot.height))
    left, top, right, bottom = cutout.box
    # Whole pixels of the target around the scaled box, and the same area in the source, which
    # begins and ends between its pixels.
    x0 = max(0, math.floor(left * spot.scale_x + spot.left))
    y0 = max(0, math.floor(top * spot.scale_y + spot.top))
    x1 = min(spot.width, math.ceil(right * spot.scale_x + spot.left))
    y1 = min(spot.height, math.ceil(bottom * spot.scale_y + spot.top))
    rim = math.ceil(1 / min(spot.scale_x, spot.scale_y)) + 1
    source = Image.fromarray(_with_rim(cutout, rim))
    area = (
        (x0 - spot.left) / spot.scale_x - left + rim,
        (y0 - spot.top) / spot.scale_y - top + rim,
        (x1 - spot.left) / spot.scale_x - left + rim,
        (y1 - spot.top) / spot.scale_y - top + rim,
    )
    # Pillow multiplies the colours with alpha before it scales, and divides after.
    scaled = np.asarray(source.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, area))
    product = CutoutPicture.from_rgba(scaled)
    return _laid(product, x0 + product.box[0], y0 + product.box[1], (spot.width, spot.height))


def _laid(cutout: CutoutPicture, left: int, top: int, size: tuple[int, int]) -> CutoutPicture:
    """The pixels of a cut-out's box in another picture, cut off at its frame.

    Args:
        left: Where the box begins in the other picture.
        top: As above.
        size: Width and height of that picture.
    """
    height, width = cutout.alpha.shape
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(size[0], left + width), min(size[1], top + height)
    inside = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    rgb, alpha = (np.ascontiguousarray(each[inside]) for each in (cutout.rgb, cutout.alpha))
    return CutoutPicture(rgb, alpha, (x0, y0, x1, y1), *size)


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


def encode_jpeg(
    rgb: NDArray[np.uint8], *, quality: int = QUALITY, full_colour: bool = False
) -> bytes:
    """Write a JPEG in sRGB, with its profile embedded.

    Args:
        rgb: (height, width, 3) uint8, sRGB.
        quality: 1 to 100.
        full_colour: 4:4:4, about 40 % larger, instead of 4:2:0.

    Raises:
        CompositeError: The library does not write it.
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
    after = first_segment_end(jpeg)
    return jpeg[:after] + _profile_segment() + jpeg[after:]


def _blend_into(
    picture: NDArray[np.uint8], cutout: CutoutPicture, light: Light | None, setting: Setting
) -> None:
    if light is not None and setting.pose is not Pose.LOOSE:
        _shade(picture, cutout, light, setting)
    left, top, right, bottom = cutout.box
    target = picture[top:bottom, left:right]
    alpha = cutout.alpha
    soft = cutout.soft
    behind = target[soft].astype(np.uint16)
    cv2.copyTo(cutout.rgb, cv2.inRange(alpha, 255, 255), target)
    share = alpha[soft].astype(np.uint16)[:, None]
    mixed = cutout.rgb[soft] * share + behind * (255 - share) + 127
    target[soft] = (mixed // 255).astype(np.uint8)


def _shade(
    picture: NDArray[np.uint8], cutout: CutoutPicture, light: Light, setting: Setting
) -> None:
    if setting.pose is Pose.LIES:
        _darken(picture, cutout, shade_lying(cutout.alpha, light))
        return
    if setting.pose is Pose.FROM_ABOVE and setting.base is not None:
        own, others = _parted(cutout.alpha, setting.base)
        if others is not None:
            _darken(picture, cutout, shade_lying(others, light))
        _darken(picture, cutout, shade_from_above(own, setting.base, light))
        return
    base = find_base(cutout.alpha)
    if setting.pose is Pose.RESTS:
        _darken(picture, cutout, shade_resting(cutout.alpha, base, light))
        return
    if setting.pose is Pose.FLOATING:
        _darken(picture, cutout, shade_hovering(cutout.alpha, base, light))
        return
    _darken(picture, cutout, shade(cutout.alpha, base, light))
    mirrored = reflect(cutout.rgb, cutout.alpha, base, light)
    if mirrored is not None:
        _lay(picture, cutout, mirrored)


def _parted(
    alpha: NDArray[np.uint8], base: RoundBase
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The alpha of the piece that stands on a base, and of the pieces beside it, if there are."""
    _, pieces = cv2.connectedComponents(cv2.inRange(alpha, _VISIBLE, 255))
    standing = pieces[min(len(pieces) - 1, round(base.y)), min(pieces.shape[1] - 1, round(base.x))]
    others = np.where((pieces != standing) & (pieces > 0), alpha, np.uint8(0))
    if standing == 0 or others.max() < 128:
        return alpha, None
    return np.where(pieces == standing, alpha, np.uint8(0)), others


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


def has_saturated_edges(cutout: CutoutPicture) -> bool:
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
