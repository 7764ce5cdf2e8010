"""The shadow of a product that stands, rests, lies or hovers in a scene, and its reflection.

Everything is worked out from the cut-out's alpha in a small picture, about one eighth of the
size, since shadows are soft. Three shades are joined: a dark, tight contact under the base, a
wide ambient shade around it, and a cast shadow that is thrown along the ground, weaker and softer
the higher the part of the product that throws it. Nothing is shaded around the upper parts: that
would look like a sticker. What may stand or lie is shaded below its lower edges alone. Only what is
known to lie on a ground that is seen from above is shaded all around, and hardly so on the side of
the light; what hovers leaves a pool of shade on the ground below it. What stands on a round base
that is seen from steeply above shades the ground all around that base.

Lengths are in units of the product's size, the square root of its box's area, so that the shadow
is the same picture at every resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.viewpoint import RoundBase

_WORK_UNIT = 128
"""Pixels of the product's size in the small picture."""

_FORESHORTENING = 0.32
"""How much of the ground's depth a camera at table height sees: the sine of its pitch, 19°."""

_BANDS = (0.0, 0.1, 0.3, 0.65, 1.2, 2.0)
"""Heights at which the cast shadow's blur is set; between them it is mixed."""

_HOVER = 0.14
"""How far below a product that hovers its shade lies on the ground."""

_RESTING = 0.25
"""Height above the lowest edge at which the shade below the other edges of what rests has faded to
a third: the rear legs of a chair have a contact, its seat has none."""

_TIGHT = 0.025
"""How far below an edge of what rests its contact reaches."""

_WIDE = 0.1
"""How far below it the soft shade reaches."""

_THICKNESS = 0.035
"""How far above the ground the upper side of what lies is, as its cast shadow sees it."""

_SLICES = 13
"""Slices of a product that is seen from above, each of which throws its own shadow."""

_BLURRED_TOGETHER = 3
"""How many of them have one blur; the next one shares it, so that no step is seen."""

Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Base:
    """Where a product touches the ground, in pixels of the cut-out's box.

    Args:
        line: The lowest edge; the ground touches here.
        bottoms: For every column, the lower edge of its lowest solid pixel; NaN where none is.
        unit: The square root of the box's area.
    """

    line: float
    bottoms: Field = field(repr=False)
    unit: float


@dataclass(frozen=True, slots=True)
class Patch:
    """A picture to be laid over the ground.

    Args:
        left: Pixels from the left of the cut-out's box; may be negative.
        top: Pixels from its top.
        pixels: (height, width, channels) uint8.
    """

    left: int
    top: int
    pixels: NDArray[np.uint8] = field(repr=False)


def find_base(alpha: NDArray[np.uint8]) -> Base:
    """Find the lower edge of a product.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
    """
    height, width = alpha.shape
    # Glass may have no pixel that is more than half opaque.
    solid = alpha[::-1] >= min(128, int(alpha.max()) // 2)
    bottoms = (height - solid.argmax(axis=0)).astype(np.float32)
    bottoms[~solid.any(axis=0)] = np.nan
    known = np.sort(bottoms[~np.isnan(bottoms)])
    # A thread or a tag that hangs lower than the rest carries nothing.
    line = float(known[-1 - len(known) // 50])
    return Base(line, bottoms, math.sqrt(height * width))


def shade(alpha: NDArray[np.uint8], base: Base, light: Light) -> Patch:
    """Make the shadow on the ground.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
        base: Of the same alpha.
        light: Direction and strengths.

    Returns:
        A patch of 3 channels to multiply the ground with: 255 leaves it, less darkens it. Its
        rim is 255.
    """
    canvas = _Canvas.around(alpha.shape, base, light)
    dark = 1 - (
        (1 - light.contact * _contact(canvas, base, light))
        * (1 - light.ambient * _ambient(canvas, base))
        * (1 - light.cast * _cast(canvas, alpha, base, light))
    )
    return canvas.patch(dark, light)


def shade_lying(alpha: NDArray[np.uint8], light: Light) -> Patch:
    """Make the shadow of a product that lies on a ground seen from above.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
        light: Direction and strengths.

    Returns:
        As `shade` does.
    """
    unit = math.sqrt(alpha.size)
    canvas = _Canvas.about(alpha.shape, unit)
    right, down = _aside(light)

    def thrown(height: float, sigma: float) -> Field:
        """The product's outline, as far aside as its height throws it."""
        moved = canvas.laid(alpha, right * height * unit, down * height * unit)
        return canvas.blur(moved, sigma * unit, sigma * unit)

    dark = 1 - (
        (1 - 0.6 * light.contact * thrown(0.2 * _THICKNESS, 0.012))
        * (1 - light.ambient * thrown(1.5 * _THICKNESS, 0.035))
        * (1 - light.cast * thrown(_THICKNESS, 0.012 + 0.02 * light.softness))
    )
    return canvas.patch(dark, light)


def shade_resting(alpha: NDArray[np.uint8], base: Base, light: Light) -> Patch:
    """Make the shadow of a product that may stand or lie: one that is right for both.

    The ground right below the product's lower edges is shaded, the less the higher such an edge is
    above the lowest one; the ground beside and above it is not.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
        base: Of the same alpha.
        light: Its strengths; what stands and what lies throw their shadows elsewhere, so nothing
            is thrown.

    Returns:
        As `shade` does.
    """
    unit = base.unit
    canvas = _Canvas.about(alpha.shape, unit)
    heights = np.maximum(0, base.line - canvas.ys()) / unit
    near = np.exp(-((heights / _RESTING) ** 2)).astype(np.float32)[:, None]

    def below(reach: float) -> Field:
        """What moving the blurred outline down adds: nothing but what is below an edge."""
        sigma = reach / 2 * unit
        lowered = canvas.blur(canvas.laid(alpha, 0, reach * unit), sigma, sigma)
        in_place = canvas.blur(canvas.laid(alpha, 0, 0), sigma, sigma)
        return np.asarray(np.clip(1.5 * (lowered - in_place), 0, 1) * near)

    dark = 1 - (
        (1 - light.contact * below(_TIGHT)) * (1 - min(1, 1.5 * light.ambient) * below(_WIDE))
    )
    return canvas.patch(dark, light)


def shade_from_above(alpha: NDArray[np.uint8], base: RoundBase, light: Light) -> Patch:
    """Make the shadow of a product that stands on a ground seen from as steeply above as itself.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
        base: Of the same alpha.
        light: Direction and strengths.

    Returns:
        As `shade` does.
    """
    unit = math.sqrt(alpha.size)
    depth = base.down / base.across
    right, down = _aside(light)
    slices = _slices(alpha, base)
    reach = slices[-1][0]
    canvas = _Canvas.about(alpha.shape, unit, right * reach, depth * down * reach)

    def thrown(height: float, size: float) -> Field:
        """A slice on the ground: the higher it is, the farther aside, and the fainter."""
        middle = base.x + right * height, base.y + depth * down * height
        disc = canvas.disc(middle, size * base.across, size * base.down)
        return disc * np.float32(math.exp(-height / (0.75 * unit)))

    def blurred(picture: Field, sigma: float) -> Field:
        return canvas.blur(picture, sigma * unit, depth * sigma * unit)

    ground = thrown(0, 1)
    cast = blurred(ground, 0.012)
    for first in range(0, _SLICES - 1, _BLURRED_TOGETHER):
        band = slices[first : first + _BLURRED_TOGETHER + 1]
        height = sum(each for each, _ in band) / len(band) / unit
        sigma = 0.012 + 0.16 * light.softness * min(_BANDS[-1], height)
        together = np.maximum.reduce([thrown(*each) for each in band])
        cast = np.maximum(cast, blurred(together, sigma))
    dark = 1 - (
        (1 - light.contact * blurred(ground, 0.014))
        * (1 - light.ambient * blurred(ground, 0.06))
        * (1 - light.cast * cast)
    )
    return canvas.patch(dark, light)


def _slices(alpha: NDArray[np.uint8], base: RoundBase) -> list[tuple[float, float]]:
    """A product cut level, from its base up: the height of each slice in pixels, and its width for
    the base's.

    A level slice is widest in the row of its middle; of the product's upper end, as deep as the
    base, all rows but the first are the far side of the uppermost slice.
    """
    raised = math.sqrt(max(0.0, 1 - (base.down / base.across) ** 2))
    top = int(alpha.any(axis=1).argmax())
    rows = np.linspace(base.y, min(base.y, top + base.down), _SLICES)
    cut = alpha[np.clip(rows.astype(np.intp), 0, len(alpha) - 1)].sum(axis=1, dtype=np.float32)
    sizes = np.minimum(1, cut / (max(1, int(alpha.max())) * 2 * base.across))
    heights = (base.y - rows) / raised
    return [(float(height), float(size)) for height, size in zip(heights, sizes, strict=True)]


def shade_hovering(alpha: NDArray[np.uint8], base: Base, light: Light) -> Patch:
    """Make the pool of shade that a product leaves on the ground below it.

    Args:
        alpha: (height, width) uint8, the cut-out's box.
        base: Of the same alpha.
        light: Direction and strengths.

    Returns:
        As `shade` does.
    """
    unit = base.unit
    canvas = _Canvas.about(alpha.shape, unit, down=math.ceil(_HOVER * unit))
    thick = alpha.sum(axis=0, dtype=np.float32)
    aside = _aside(light)[0] * 0.35 * _HOVER * unit
    columns = np.arange(alpha.shape[1]) + 0.5
    # The thicker a column is, the more light it takes.
    taken = np.interp(canvas.xs() - aside, columns, thick / thick.max(), left=0, right=0)
    below = canvas.ys()[:, None] - (base.line + _HOVER * unit)
    pool = np.sqrt(taken)[None, :] * np.exp(-((below / (0.045 * unit)) ** 2))
    soft = canvas.blur(pool.astype(np.float32), 0.09 * unit, 0.025 * unit)
    return canvas.patch(min(0.9, 0.9 * light.ambient + 0.6 * light.cast) * soft, light)


def reflect(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], base: Base, light: Light
) -> Patch | None:
    """Make the mirror image in a glossy ground: fading and blurring with distance.

    Args:
        rgb: (height, width, 3) uint8, the cut-out's box.
        alpha: (height, width) uint8.
        base: Of the same alpha.
        light: Its `reflection` is the strength.

    Returns:
        A patch of 4 channels, premultiplied with its alpha; ``None`` for a matt ground.
    """
    if light.reflection == 0:
        return None
    height, width = alpha.shape
    scale = min(1.0, 2 * _WORK_UNIT / base.unit)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    opacity, colours = _shrunk(alpha, size), _shrunk(rgb, size)
    dimmed = cv2.multiply(colours, cv2.cvtColor(opacity, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    picture = cv2.merge((*cv2.split(dimmed), opacity)).astype(np.float32)
    unit, line = base.unit * scale, base.line * size[1] / height
    mirror = _mirror_line(base, size[0], scale)
    depth = min(size[1], math.ceil(0.75 * unit))
    top = math.floor(mirror.min())
    rows = np.arange(top, math.ceil(line) + depth, dtype=np.float32)[:, None]
    map_y = 2 * mirror[None, :] - rows - 1
    map_x = np.broadcast_to(np.arange(size[0], dtype=np.float32), map_y.shape)
    remapped = cv2.remap(
        picture, np.ascontiguousarray(map_x), map_y, cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0)
    )
    distance = (np.maximum(0, rows - mirror[None, :]) / unit).astype(np.float32)
    turned = _blur_with_distance(np.asarray(remapped, np.float32), distance, unit)
    turned *= (light.reflection * np.exp(-distance / 0.28) * (map_y < line))[:, :, None]
    turned *= np.clip((rows[-1] - rows) / (0.2 * unit), 0, 1)[:, :, None]
    patch = np.clip(turned + 0.5, 0, 255).astype(np.uint8)
    full = (width, round(patch.shape[0] / scale))
    return Patch(0, round(top / scale), cv2.resize(patch, full, interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The small picture: where it lies on the cut-out's box, and its scale."""

    left: int
    top: int
    width: int
    height: int
    scale: float

    @classmethod
    def around(cls, shape: tuple[int, ...], base: Base, light: Light) -> _Canvas:
        """Make room for the shadow, and for no more: what is thrown where, and its blur."""
        height, width = shape
        right, down = _throw(light)
        reach = min(height, _BANDS[-1] * base.unit)
        margin = 0.3 * base.unit
        left = math.floor(min(0.0, right * reach) - margin)
        top = math.floor(base.line + min(0.0, down * reach) - margin)
        full_width = math.ceil(width + max(0.0, right * reach) + margin) - left
        full_height = math.ceil(base.line + max(0.0, down * reach) + margin) - top
        return cls(left, top, full_width, full_height, min(1.0, _WORK_UNIT / base.unit))

    @classmethod
    def about(
        cls, shape: tuple[int, ...], unit: float, right: float = 0.0, down: float = 0.0
    ) -> _Canvas:
        """Make room all around the product, and for a shadow that is thrown so far aside."""
        margin = 0.35 * unit
        left = math.floor(min(0.0, right) - margin)
        top = math.floor(min(0.0, down) - margin)
        width = math.ceil(shape[1] + max(0.0, right) + margin) - left
        height = math.ceil(shape[0] + max(0.0, down) + margin) - top
        return cls(left, top, width, height, min(1.0, _WORK_UNIT / unit))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the small picture."""
        return math.ceil(self.width * self.scale), math.ceil(self.height * self.scale)

    def xs(self) -> Field:
        """Centres of the small columns, in pixels of the cut-out's box."""
        return ((np.arange(self.size[0]) + 0.5) / self.scale + self.left).astype(np.float32)

    def ys(self) -> Field:
        """Centres of the small rows, in pixels of the cut-out's box."""
        return ((np.arange(self.size[1]) + 0.5) / self.scale + self.top).astype(np.float32)

    def blur(self, picture: Field, across: float, down: float) -> Field:
        """Gaussian blur; sigmas in pixels of the cut-out's box."""
        across, down = max(0.3, across * self.scale), max(0.3, down * self.scale)
        return np.asarray(
            cv2.GaussianBlur(picture, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_CONSTANT)
        )

    def window(self) -> Field:
        """1 inside, falling to 0 at the rim, so that no edge of the patch can be seen."""
        columns, rows = (
            np.clip(np.minimum(np.arange(n), n - 1 - np.arange(n)) / (0.08 * _WORK_UNIT), 0, 1)
            for n in self.size
        )
        return (rows[:, None] * columns[None, :]).astype(np.float32)

    def laid(self, alpha: NDArray[np.uint8], right: float, down: float) -> Field:
        """The product's outline, moved by pixels of the cut-out's box: 0 to 1."""
        height, width = alpha.shape
        size = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
        across, along = self.scale * width / size[0], self.scale * height / size[1]
        matrix = np.array(
            [
                [across, 0, (right - self.left) * self.scale],
                [0, along, (down - self.top) * self.scale],
            ]
        )
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        small = _shrunk(alpha, size).astype(np.float32) / 255
        return np.asarray(cv2.warpAffine(small, matrix, self.size), np.float32)

    def disc(self, middle: tuple[float, float], across: float, down: float) -> Field:
        """An ellipse with those half axes, in pixels of the cut-out's box: 0 to 1."""
        if across <= 0 or down <= 0:
            return np.zeros(self.size[::-1], np.float32)
        xs, ys = (self.xs() - middle[0]) / across, (self.ys() - middle[1]) / down
        inside = (1 - np.sqrt((xs * xs)[None, :] + (ys * ys)[:, None])) * down * self.scale
        return np.asarray(np.clip(inside + 0.5, 0, 1), np.float32)

    def patch(self, dark: Field, light: Light) -> Patch:
        """What to multiply the ground with where it is so dark, 0 to 1; nothing at the rim."""
        dark = dark * self.window()
        factor = 1 - dark[:, :, None] * (1 - np.asarray(light.tint, np.float32))
        small = np.clip(factor * 255 + 0.5, 0, 255).astype(np.uint8)
        return Patch(self.left, self.top, self.enlarge(small))

    def enlarge(self, small: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring the small picture to the scale of the cut-out."""
        size = (round(small.shape[1] / self.scale), round(small.shape[0] / self.scale))
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _throw(light: Light) -> tuple[float, float]:
    """How far right and down the picture a point's shadow falls, for each pixel of its height."""
    right, down = _aside(light)
    down *= _FORESHORTENING
    return right, math.copysign(max(0.02, abs(down)), down)


def _aside(light: Light) -> tuple[float, float]:
    """How far to the right and towards the camera a point's shadow falls on the ground, seen from
    above, for each pixel of its height.
    """
    length = 1 / math.tan(math.radians(light.elevation_degrees))
    azimuth = math.radians(light.azimuth_degrees)
    return -math.sin(azimuth) * length, math.cos(azimuth) * length


def _gaps(canvas: _Canvas, base: Base) -> tuple[Field, NDArray[np.bool_]]:
    """How far above the base line the product ends in each small column, and where it is."""
    columns = np.arange(len(base.bottoms)) + 0.5
    known = ~np.isnan(base.bottoms)
    xs = canvas.xs()
    gaps = np.interp(xs, columns[known], base.line - base.bottoms[known])
    nearest = np.clip(np.round(xs - 0.5), 0, len(columns) - 1).astype(np.intp)
    inside = (xs >= 0) & (xs <= len(columns)) & known[nearest]
    return np.maximum(0, gaps).astype(np.float32), inside


def _contact(canvas: _Canvas, base: Base, light: Light) -> Field:
    """The thin dark line where the product meets the ground, following a rounded base."""
    unit = base.unit
    gaps, inside = _gaps(canvas, base)
    touching = np.where(inside, np.exp(-((gaps / (0.05 * unit)) ** 2)), 0).astype(np.float32)
    ground = base.line - np.minimum(gaps, 0.08 * unit)
    below = canvas.ys()[:, None] - ground[None, :]
    # Sharp under the product, trailing off in front of it.
    thickness = np.where(below < 0, 0.03, 0.013 + 0.013 * light.softness) * unit
    line = touching[None, :] * np.exp(-((below / thickness) ** 2))
    return canvas.blur(line.astype(np.float32), 0.012 * unit, 0.004 * unit)


def _ambient(canvas: _Canvas, base: Base) -> Field:
    """The soft shade around the base where the product hides part of the sky."""
    unit = base.unit
    gaps, inside = _gaps(canvas, base)
    near = np.where(inside, np.exp(-gaps / (0.2 * unit)), 0).astype(np.float32)
    below = canvas.ys()[:, None] - (base.line - np.minimum(gaps, 0.05 * unit))[None, :]
    pool = near[None, :] * np.exp(-((below / (0.055 * unit)) ** 2))
    return canvas.blur(pool.astype(np.float32), 0.06 * unit, 0.02 * unit)


def _cast(canvas: _Canvas, alpha: NDArray[np.uint8], base: Base, light: Light) -> Field:
    """The shadow thrown along the ground, in bands of height, each with its own blur."""
    height, width = alpha.shape
    size = (max(1, round(width * canvas.scale)), max(1, round(height * canvas.scale)))
    small = _shrunk(alpha, size).astype(np.float32) / 255
    across, down = size[0] / width, size[1] / height
    heights = (base.line - (np.arange(size[1]) + 0.5) / down) / base.unit
    fade = np.exp(-np.maximum(0, heights) / 0.75)
    throw_right, throw_down = _throw(light)
    # From the small alpha (x, y) to the canvas, both counted from pixel centres.
    slope = canvas.scale / down
    matrix = np.array(
        [
            [canvas.scale / across, -throw_right * slope, 0],
            [0, -throw_down * slope, 0],
        ]
    )
    matrix[0, 2] = (throw_right * base.line - canvas.left) * canvas.scale
    matrix[1, 2] = (base.line * (1 + throw_down) - canvas.top) * canvas.scale
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    total = np.zeros(canvas.size[::-1], np.float32)
    for index, middle in enumerate(_BANDS):
        weights = (fade * _band_weight(index, heights)).astype(np.float32)
        if weights.max() < 0.004:
            continue
        thrown = cv2.warpAffine(small * weights[:, None], matrix, canvas.size)
        sigma = (0.012 + 0.16 * light.softness * middle) * base.unit
        total += canvas.blur(
            np.asarray(thrown, np.float32), sigma, max(0.022 * base.unit, sigma / 2)
        )
    return np.clip(total, 0, 1)


def _shrunk(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Shrink to a width and height. Of a much larger picture, three samples a pixel are enough."""
    step = max(1, picture.shape[1] // (3 * size[0]))
    sampled = np.ascontiguousarray(picture[::step, ::step])
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA), np.uint8)


def _band_weight(index: int, heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each height belongs to a band; over all bands, the weights add up to 1."""
    peak = np.zeros(len(_BANDS))
    peak[index] = 1
    return np.interp(heights, _BANDS, peak)


def _mirror_line(base: Base, columns: int, scale: float) -> Field:
    """Where each column meets its mirror image.

    A base that curves up a little is round, and touches the ground all along its edge; one that
    ends far above the line hangs over the ground, and its mirror image begins below the line.
    """
    known = ~np.isnan(base.bottoms)
    xs = (np.arange(columns) + 0.5) / scale
    bottoms = np.interp(xs, np.arange(len(known))[known] + 0.5, base.bottoms[known])
    raised = np.minimum(np.maximum(0, base.line - bottoms), 0.06 * base.unit)
    line = ((base.line - raised) * scale).astype(np.float32)
    smooth = cv2.GaussianBlur(line[None, :], (0, 0), max(0.3, 0.01 * base.unit * scale))
    return np.asarray(smooth[0], np.float32)


def _blur_with_distance(picture: Field, distance: Field, unit: float) -> Field:
    """Blur more the farther from the ground's contact: rough stone scatters."""
    near = cv2.GaussianBlur(picture, (0, 0), max(0.3, 0.004 * unit))
    far = cv2.GaussianBlur(picture, (0, 0), max(0.5, 0.022 * unit))
    mix = np.clip(distance / 0.45, 0, 1)[:, :, None]
    return np.asarray(near + (far - near) * mix, np.float32)
