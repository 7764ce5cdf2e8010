"""How good a cut-out and its photo are, in numbers that limits can be set for.

Everything is measured at a bounded working size: as a shopper sees the picture, and in a few
milliseconds whatever the camera. Lengths are pixels of that size.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.colour import delta_e, lab
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.decode import MAX_PIXELS, decode_rgb
from photopipe_dagster.imaging.matting import soft_share

WORKING_SIDE = 1024
"""Longest side that is looked at, pixels."""

_SOLID = 128
"""Alpha of 255 from which a pixel counts as product."""

_OPAQUE = 250
"""Alpha of 255 from which a pixel has no other colour than the product's."""

_SPECK = 0.01
"""Share of the largest piece's area below which a piece is a speck."""

_PAIR = 0.06
"""Gap, share of all pieces' extent, up to which they are one: a pair of shoes is one product."""

_SMALLEST_HOLE = 0.0005
"""Share of the product's area from which a hole counts."""

_RIM, _INSIDE, _OUTSIDE = 2.0, 8.0, 6.0
"""Where colours are read for a halo: distances from the outline, pixels of the working size."""

_CONTRAST = 40.0
"""Distance of two colours (0 to 442, in sRGB) from which one can be told from the other."""

_GROUND_IN_RIM = 0.6
"""Share of the ground in the rim's colour from which it is the ground's rather than its own."""

_BLURS = (1.0, 2.0)
"""Sigmas that two blurred copies are made with, to tell how blurred the picture was, pixels."""

_EDGE = 3.0
"""Slope (levels of 255 a pixel) from which an edge is no noise."""

_DRAWN = 50
"""Spread of a product's and its ground's lightness (levels of 255) that cannot be without edges."""

_LONGEST_BLUR = 20.0
"""Sigma above which no difference can be told, pixels."""

_BLOWN = 253
"""Level of all three channels from which nothing is drawn any more."""

_MARGIN = 12
"""Ground that is looked at around the product, pixels of the working size."""

_WIDENED = 12
"""Pixels of the working size that a cut-out's box is widened by, at most, to lie on the photo's."""

_WALKS = 1000
"""Points of the outline that are walked from, at most, or up to twice as many."""

_SMALL = 384
"""Longest side at which a cut-out is compared with its photo place by place, pixels."""

_STILL_SEEN = 0.5
"""Share of what is opaque that has to be so at half the size, for colours to be compared there."""

_OTHER = 20
"""Levels of 255 that a channel lies outside of all that the photo has around the place, from which
something else is shown there."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photo and its cut-out at the working size.

    Args:
        photo: (height, width, 3) uint8, sRGB.
        rgb: (height, width, 3) uint8, sRGB: the cut-out's own colours; nothing where clear.
        alpha: (height, width) uint8.
    """

    photo: NDArray[np.uint8] = field(repr=False)
    rgb: NDArray[np.uint8] = field(repr=False)
    alpha: NDArray[np.uint8] = field(repr=False)

    @classmethod
    def of(cls, original: bytes, cutout: CutoutPicture, *, max_pixels: int = MAX_PIXELS) -> View:
        """Shrink both to the working size; smaller pictures keep theirs.

        Args:
            original: The photo's file.
            cutout: Of that photo; it may be larger or smaller.

        Raises:
            PhotoRejectedError: The file cannot be read.
        """
        shrink = min(1.0, WORKING_SIDE / max(cutout.width, cutout.height))
        size = (max(1, round(cutout.width * shrink)), max(1, round(cutout.height * shrink)))
        photo = _resized(decode_rgb(original, max_pixels=max_pixels, cover=size), size)
        rgb = np.zeros((size[1], size[0], 3), np.uint8)
        alpha = np.zeros((size[1], size[0]), np.uint8)
        across = _Span.of(cutout.box[0], cutout.box[2], cutout.width, size[0])
        down = _Span.of(cutout.box[1], cutout.box[3], cutout.height, size[1])
        place = (slice(down.first, down.last), slice(across.first, across.last))
        box = (across.last - across.first, down.last - down.first)
        borders = (down.before, down.after, across.before, across.after)
        around = cv2.copyMakeBorder(cutout.rgb, *borders, cv2.BORDER_REPLICATE)
        rgb[place] = _resized(np.asarray(around, np.uint8), box)
        around = cv2.copyMakeBorder(cutout.alpha, *borders, cv2.BORDER_CONSTANT, value=0)
        alpha[place] = _resized(np.asarray(around, np.uint8), box)
        return cls(photo, rgb, alpha)

    def near(self) -> View:
        """The part with the product and a margin of ground."""
        left, top, width, height = cv2.boundingRect(self.alpha)
        part = (
            slice(max(0, top - _MARGIN), top + height + _MARGIN),
            slice(max(0, left - _MARGIN), left + width + _MARGIN),
        )
        return View(self.photo[part], self.rgb[part], self.alpha[part])


@dataclass(frozen=True, slots=True)
class _Span:
    """Where a stretch of a picture lies in a smaller copy, widened so far that both of its ends are
    as near as can be to borders of pixels in both: else a fine texture shrinks to another pattern.

    Args:
        first: Its first pixel in the copy.
        last: The first one behind it.
        before: Pixels of the picture that it is widened by.
        after: The same at its end.
    """

    first: int
    last: int
    before: int
    after: int

    @classmethod
    def of(cls, begin: int, end: int, whole: int, size: int) -> _Span:
        """Of a picture that is shrunk from `whole` pixels to `size`."""

        def off(pixel: int) -> float:
            """How far from a pixel's border of the picture one of the copy begins."""
            return abs(pixel * whole / size - round(pixel * whole / size))

        first, last = begin * size // whole, -(-end * size // whole)
        first = min(range(first, max(-1, first - _WIDENED), -1), key=off)
        last = min(range(last, min(size + 1, last + _WIDENED)), key=off)
        before, after = begin - round(first * whole / size), round(last * whole / size) - end
        return cls(first, last, max(0, before), max(0, after))


@dataclass(frozen=True, slots=True)
class CutoutNumbers:
    """What was measured of a cut-out and the photo that it is of.

    Args:
        area: The product's share of the frame, 0 to 1.
        frame: Share of the frame's border that the product touches, 0 to 1.
        sides: Sides of the frame that it comes nearer to than a pixel of the working size.
        aside: Whether the left or the right one is among them.
        side: Pixels of the product's longer side in the cut-out, full size.
        softness: Half-transparent pixels for each pixel of the outline; see `matting.soft_share`.
        halo: Share of the outline whose rim has the ground's colour, or one that neither photo nor
            product has, 0 to 1.
        recoloured: How far the product's colours are from the photo's: median ΔE2000.
        changed: Share of the product at whose place the photo shows something else, 0 to 1:
            repainted, or moved by more than about 0.4 % of the frame.
        pieces: Pieces well apart from each other, of at least a third of the largest one's area.
        specks: Share of the product's area in pieces too small to be part of a product, 0 to 1.
        holes: Openings through which the ground is seen.
        blur: Of the photo at the product's sharpest edges: sigma of a Gaussian, pixels of the
            working size. ``None`` where there is no edge to measure it by.
        brightest: Lightness of the product's brightest hundredth, 0 to 255.
        blown: Share of the product that is white without any drawing, 0 to 1.
    """

    area: float
    frame: float
    sides: int
    aside: bool
    side: int
    softness: float
    halo: float
    recoloured: float
    changed: float
    pieces: int
    specks: float
    holes: int
    blur: float | None
    brightest: int
    blown: float


def measure_cutout(view: View, cutout: CutoutPicture) -> CutoutNumbers:
    """Measure a cut-out.

    Args:
        view: Of that cut-out and its photo.
        cutout: In its full size.
    """
    near = view.near()
    sides = sides_touched(view.alpha)
    pieces, specks, holes = _topology(near.alpha)
    grey = np.asarray(cv2.cvtColor(near.photo, cv2.COLOR_RGB2GRAY), np.uint8)
    inside = _wholly_inside(near.alpha)
    white = cv2.inRange(near.photo, (_BLOWN,) * 3, (255,) * 3)
    return CutoutNumbers(
        area=cutout.coverage,
        frame=_on_frame(view.alpha),
        sides=sum(sides),
        aside=any(sides[2:]),
        side=max(cutout.box[2] - cutout.box[0], cutout.box[3] - cutout.box[1]),
        softness=soft_share(near.alpha.astype(np.float32) / np.float32(255)),
        halo=_halo(near),
        recoloured=_recoloured(near),
        changed=_changed(near),
        pieces=pieces,
        specks=specks,
        holes=holes,
        blur=_blur(grey, near.alpha),
        brightest=_percentile(grey, inside, 0.99),
        blown=cv2.countNonZero(cv2.bitwise_and(white, inside)) / cv2.countNonZero(inside),
    )


@dataclass(frozen=True, slots=True)
class PictureNumbers:
    """What was measured of a composite and its background.

    Args:
        bytes: Of the file.
        width: Pixels.
        height: Pixels.
        srgb: Whether a profile of sRGB is embedded.
        colours: How far the product's colours are from the cut-out's: median ΔE2000; ``None``
            where it was not compared.
        worst_colours: The same of the 99th percentile.
        second_product: Share of the picture that a thing on the background takes, 0 to 1;
            ``None`` where nobody looked.
        scale: How much the product was enlarged; ``None`` where nobody knows.
        firmness: How well the product stands on its ground, see `stance`; ``None`` where it need
            not, or where nobody knows.
        steepness: Degrees by which the camera looked down on the product, see `viewpoint`; 0 where
            its outline does not tell, ``None`` where the ground may be seen so as well, or where
            nobody knows.
    """

    bytes: int
    width: int
    height: int
    srgb: bool
    colours: float | None = None
    worst_colours: float | None = None
    second_product: float | None = None
    scale: float | None = None
    firmness: float | None = None
    steepness: float | None = None


def measure_picture(jpeg: bytes, **known: float | None) -> PictureNumbers:
    """Measure a composite; only its header is read.

    Args:
        jpeg: The file.
        known: Numbers of `PictureNumbers` that were measured when it was made, or seen since.

    Raises:
        PhotoRejectedError: The file is no picture.
    """
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            width, height = image.size
            profile = image.info.get("icc_profile")
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotoRejectedError("The composite cannot be read: its file is damaged.") from error
    return PictureNumbers(
        bytes=len(jpeg),
        width=width,
        height=height,
        srgb=_is_srgb(profile),
        **known,
    )


def _is_srgb(profile: bytes | None) -> bool:
    if not profile:
        return False
    try:
        return "srgb" in ImageCms.getProfileDescription(io.BytesIO(profile)).lower()
    except ImageCms.PyCMSError:
        return False


def _on_frame(alpha: NDArray[np.uint8]) -> float:
    border = np.concatenate((alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]))
    return float((border >= _SOLID).mean())


def sides_touched(alpha: NDArray[np.uint8]) -> tuple[bool, ...]:
    """Which sides of the frame something is on: top, bottom, left, right. Its alpha is low where it
    only touches.
    """
    sides = (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:])
    return tuple(bool((side >= _SOLID).any()) for side in sides)


def _topology(alpha: NDArray[np.uint8]) -> tuple[int, float, int]:
    """Pieces of similar size, the share of specks, and holes; at half the size, as seen from afar.

    A rim of ground joins all of the ground around the product.
    """
    height, width = alpha.shape
    half = _halved(alpha) if max(height, width) > WORKING_SIDE // 4 else alpha
    solid = np.pad((half >= _SOLID).astype(np.uint8), 1)
    areas = _areas(solid, 8)[1:]
    if not len(areas):
        return 0, 0.0, 0
    # The ground around the product comes first, since it has the first corner.
    holes = _areas(1 - solid, 4)[2:]
    specks = areas[areas < _SPECK * areas.max()]
    return (
        _pieces(solid),
        float(specks.sum() / areas.sum()),
        int((holes >= _SMALLEST_HOLE * areas.sum()).sum()),
    )


def _areas(marked: NDArray[np.uint8], connectivity: int) -> NDArray[np.intp]:
    """Pixels of what is not marked, and of each piece that is, in the order of their first ones."""
    _, labels = cv2.connectedComponents(marked, connectivity=connectivity)
    return np.bincount(labels.ravel())


def _pieces(solid: NDArray[np.uint8]) -> int:
    extent = max(cv2.boundingRect(solid)[2:])
    reach = np.ones((max(1, round(_PAIR * extent)),) * 2, np.uint8)
    _, labels = cv2.connectedComponents(cv2.dilate(solid, reach))
    areas = np.bincount((labels * solid).ravel())[1:]
    return int((areas >= areas.max() / 3).sum())


def _halo(view: View) -> float:
    """Walk around the outline and compare the rim's colour with those on both of its sides."""
    solid = (view.alpha >= _SOLID).astype(np.uint8)
    outline = solid - cv2.erode(solid, np.ones((3, 3), np.uint8), borderValue=1)
    places = cv2.findNonZero(outline)
    if places is None:
        return 0.0
    # OpenCV 4 has a middle axis of 1 there, OpenCV 5 has none.
    places = places.reshape(-1, 2)[:: max(1, len(places) // _WALKS)]
    columns, rows = np.asarray(places, np.intp).T
    smooth = cv2.blur(view.alpha, (7, 7))
    # Towards the product, by the slope of its alpha.
    across = cv2.Sobel(smooth, cv2.CV_16S, 1, 0)[rows, columns].astype(np.float32)
    down = cv2.Sobel(smooth, cv2.CV_16S, 0, 1)[rows, columns].astype(np.float32)
    length = np.hypot(across, down) + 1e-6
    along = _Walk(rows, columns, down / length, across / length, view.alpha.shape)
    rim, inner, outer = along(_RIM), along(_INSIDE), along(-_OUTSIDE)
    known = along.inside(-_OUTSIDE) & (view.alpha[inner] >= _OPAQUE) & (view.alpha[outer] < 5)
    if not known.any():
        return 0.0
    shown, own, ground, taken = (
        picture[place][known].astype(np.float32)
        for picture, place in (
            (view.rgb, rim),
            (view.rgb, inner),
            (view.photo, outer),
            (view.photo, rim),
        )
    )
    between = ground - own
    contrast = np.linalg.norm(between, axis=1)
    share = np.einsum("ij,ij->i", shown - own, between) / np.maximum(contrast, 1) ** 2
    of_ground = (contrast > _CONTRAST) & (share > _GROUND_IN_RIM)
    foreign = np.linalg.norm(shown - taken, axis=1) > _CONTRAST
    foreign &= np.linalg.norm(shown - own, axis=1) > _CONTRAST
    return float((of_ground | foreign).mean())


class _Walk:
    """Goes from points of the outline into the product, or out of it."""

    def __init__(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        down: NDArray[np.floating],
        across: NDArray[np.floating],
        shape: tuple[int, ...],
    ) -> None:
        self._rows, self._columns = rows, columns
        self._down, self._across = down, across
        self._height, self._width = shape[:2]

    def __call__(self, distance: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns so many pixels inwards, kept in the picture."""
        rows, columns = self._at(distance)
        return np.clip(rows, 0, self._height - 1), np.clip(columns, 0, self._width - 1)

    def inside(self, distance: float) -> NDArray[np.bool_]:
        """Which of those are in the picture."""
        rows, columns = self._at(distance)
        within = (rows >= 0) & (rows < self._height)
        return within & (columns >= 0) & (columns < self._width)

    def _at(self, distance: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows = np.rint(self._rows + distance * self._down).astype(np.intp)
        return rows, np.rint(self._columns + distance * self._across).astype(np.intp)


def _recoloured(view: View) -> float:
    """Median difference of the product's colours from the photo's; some thousand pixels tell.

    Seen from afar, where a fine texture has its mean colour: near by, it differs from itself where
    the photo was decoded at a smaller size. Not from where a thin product is lost from sight.
    """
    inside = _wholly_inside(view.alpha)
    while max(view.alpha.shape) > _SMALL:
        afar = _from_afar(view)
        wholly = _at_least(afar.alpha, _OPAQUE)
        if 4 * cv2.countNonZero(wholly) < _STILL_SEEN * cv2.countNonZero(inside):
            break
        view, inside = afar, wholly
    step = max(1, round((cv2.countNonZero(inside) / 4000) ** 0.5))
    seen = inside[::step, ::step] > 0
    if not seen.any():  # a product of a few pixels, beside the grid
        step, seen = 1, inside > 0
    made, taken = (lab(picture[::step, ::step][seen]) for picture in (view.rgb, view.photo))
    return float(np.median(delta_e(made, taken)))


def _changed(view: View) -> float:
    """Compare place by place, with all that the photo has in the eight places around, too: so a
    cut-out that was scaled to and fro, compressed or moved a little is still the same.
    """
    while max(view.alpha.shape) > _SMALL:
        view = _from_afar(view)
    photo, rgb, alpha = view.photo, view.rgb, view.alpha
    around = np.ones((3, 3), np.uint8)
    inside = cv2.erode(_at_least(alpha, _OPAQUE), around, borderValue=0)
    if not inside.any():
        return 0.0
    above = cv2.subtract(rgb, cv2.dilate(photo, around))
    below = cv2.subtract(cv2.erode(photo, around), rgb)
    red, green, blue = cv2.split(cv2.max(above, below))
    other = _at_least(np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8), _OTHER)
    return cv2.countNonZero(cv2.bitwise_and(other, inside)) / cv2.countNonZero(inside)


def _blur(grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> float | None:
    """How blurred the sharpest edges of the product are.

    A picture that is blurred already changes less when it is blurred again: the ratio of an edge's
    slopes in two blurred copies tells its own sigma, whatever its contrast (after Zhuo and Sim,
    "Defocus map estimation from a single image", 2011).
    """
    near = _at_least(cv2.dilate(alpha, np.ones((9, 9), np.uint8)), _SOLID)
    little, more = (_slope(grey, sigma) for sigma in _BLURS)
    if not near.any():
        return None
    step = 4 if min(near.shape) > 64 and near[::4, ::4].any() else 1
    some = near[::step, ::step] > 0
    steep = max(_EDGE, float(np.percentile(little[::step, ::step][some], 98)))
    edges = np.flatnonzero((little >= np.float32(steep)) & (near > 0))
    if len(edges) < 20:
        levels = np.percentile(grey[::step, ::step][some], (5, 95))
        return _LONGEST_BLUR if levels[1] - levels[0] > _DRAWN else None
    # The sharpest quarter: what is in focus, and the middle of each edge rather than its sides.
    ratios = little.ravel()[edges] / np.maximum(more.ravel()[edges], 1e-3)
    ratio = float(np.percentile(ratios, 75))
    low, high = _BLURS[0] ** 2, _BLURS[1] ** 2
    if ratio <= 1:
        return _LONGEST_BLUR
    variance = (high - ratio**2 * low) / (ratio**2 - 1)
    return float(min(np.sqrt(max(variance, 0.0)), _LONGEST_BLUR))


def _slope(grey: NDArray[np.uint8], sigma: float) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma)
    across = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1)
    down = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1)
    return np.asarray(cv2.magnitude(across, down) / 2, np.float32)


def _at_least(levels: NDArray[np.uint8] | cv2.typing.MatLike, least: int) -> NDArray[np.uint8]:
    """255 where a level is at least that, 0 elsewhere."""
    return np.asarray(cv2.inRange(levels, least, 255), np.uint8)


def _wholly_inside(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where a pixel is opaque; of a product that nowhere is, where it is most so."""
    return _at_least(alpha, min(_OPAQUE, int(alpha.max())))


def _percentile(grey: NDArray[np.uint8], inside: NDArray[np.uint8], share: float) -> int:
    """The level that this share of the pixels does not exceed; by counting, which needs no sort."""
    counts = cv2.calcHist([grey], [0], inside, [256], [0, 256]).ravel()
    return int(np.searchsorted(np.cumsum(counts, dtype=np.float64), share * counts.sum()))


def _from_afar(view: View) -> View:
    """Half as large."""
    return View(_halved(view.photo), _halved(view.rgb), _halved(view.alpha))


def _halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half as large, of four pixels' means each; a last row or column without a pair is left out,
    so that it takes an eighth of the time.
    """
    height, width = (max(1, side // 2) for side in picture.shape[:2])
    return _resized(picture[: 2 * height, : 2 * width], (width, height))


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    # Whatever leaves pixels out makes other patterns of a fine texture in a photo and its cut-out,
    # which are not shrunk from the same size.
    shrunk = picture.shape[1] > size[0] or picture.shape[0] > size[1]
    how = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
