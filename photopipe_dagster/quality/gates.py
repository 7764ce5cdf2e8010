"""Quality gates: the limits that a picture has to keep, and what to do where it does not.

A number beyond its second limit fails: the photo stops before anything more is paid. One beyond
its first limit warns: a person looks at the picture before it is published. The limits leave room
around what good product photos measure; see `benchmarks/gates.py`.

Nothing heavy is imported here, so that themes can carry gates of their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from photopipe_dagster.core.json_text import STRICT
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.quality.calibration import RISK, RISK_AS_SHIPPED, RiskMap
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict
from photopipe_dagster.quality.risk import Risk, told

if TYPE_CHECKING:
    from photopipe_dagster.imaging.edge_support import EdgeSupport
    from photopipe_dagster.imaging.measures import CutoutNumbers, PictureNumbers

CUTOUT_QUALITY: Final = "cutout_quality"
"""Name of the check of the cut-out and its photo."""

PICTURE_QUALITY: Final = "picture_quality"
"""Name of the check of the composite and its background."""

Mode = Literal["enforce", "review", "off"]
"""`QUALITY_GATES`: hold to the limits, leave what fails to a person, or do not look."""


@dataclass(frozen=True, slots=True)
class CutoutOpinion:
    """What a second witness says of a cut-out.

    Args:
        witness: ``network`` or ``ground``.
        disagreement: Area that is product to one and ground to the other, away from the edges;
            share of the product's.
        filled_holes: Openings that the witness sees and the cut-out has closed.
        networks: What the witness's own looks say, for the risk, by name; empty of the ground.
    """

    witness: str
    disagreement: float
    filled_holes: int
    networks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """What a number should be: `AtMost` or `AtLeast`.

    Args:
        warn: Beyond it, a person looks.
        fail: Beyond it, the photo stops; ``None`` where no number is bad enough for that.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    warn: float
    fail: float | None = None
    sign: ClassVar[str]
    beyond: ClassVar[Callable[[float, float], bool]]

    def verdict(self, value: float) -> Verdict:
        """How good a number is."""
        if self.fail is not None and type(self).beyond(value, self.fail):
            return Verdict.FAIL
        return Verdict.WARN if type(self).beyond(value, self.warn) else Verdict.PASS

    def __str__(self) -> str:
        return f"{self.sign} {self.warn:g}"

    @staticmethod
    def read(text: str) -> Limit | None:
        """What a measure's limit says, as `str` has written it; ``None`` for one in words."""
        for kind in (AtMost, AtLeast):
            sign, _, number = text.partition(" ")
            if sign == kind.sign:
                with suppress(ValueError):
                    return kind(float(number))
        return None


@dataclass(frozen=True)
class AtMost(Limit):
    """A number that should be small."""

    sign = "≤"
    beyond = operator.gt


@dataclass(frozen=True)
class AtLeast(Limit):
    """A number that should be large."""

    sign = "≥"
    beyond = operator.lt


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits of a theme; what each number is says `imaging.measures`.

    Args:
        found: How sure the local network was that there is a product, 0 to 1.
        smallest: The product's share of the frame.
        largest: The same, from above.
        frame: Share of the frame's border that the product touches.
        sides: Sides of the frame that it touches, however little.
        side: Pixels of the product's longer side. Google's least for a product picture is 100.
        softness: Half-transparent pixels for each one of the outline.
        halo: Share of the outline that shows the ground.
        recoloured: Median difference of the product's colours from the photo's, ΔE2000.
        changed: Share of the product where the photo shows something else.
        pieces: Products in the photo.
        specks: Share of the product in crumbs.
        blur: Sigma at the sharpest edges, pixels of a picture of 1024.
        brightest: Lightness of the product's brightest hundredth, 0 to 255.
        blown: Share of the product that is plain white.
        lead: How many times as strong the photo's edges are under the outline as beside it.
        worst_edges: How strong they are under the outline's worst stretch, 0 to 1.
        disagreement: What a second opinion sees otherwise, share of the product.
        filled_holes: Openings that a second opinion sees and the cut-out has closed.
        second_product: Share of the picture that a thing on the background takes.
        colours: Median difference of the product's colours in the picture, ΔE2000.
        worst_colours: The same of the 99th percentile.
        enlarged: How many times as large as in its photo the product is.
        firmness: How well the product stands; below 1 it would stand on a point or tip over.
        steepness: Degrees by which the camera looked down on the product. The tables of scenes
            are seen from 15 to 18 above.
        megabytes: Of the file; see `for_shop`.
        megapixels: Of the picture; in the same form.
        looks: Area where the local network's looks contradict each other, share of the product.
        ground_inside: Share of the product that has the colour of the plain ground around it.
        risk: Probability that a merchandiser would not publish the cut-out; see `quality.risk`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    found: AtLeast = AtLeast(0.5, 0.1)
    smallest: AtLeast = AtLeast(0.02, 0.005)
    largest: AtMost = AtMost(0.9, 0.98)
    frame: AtMost = AtMost(0.005, 0.3)
    sides: AtMost = AtMost(1)
    side: AtLeast = AtLeast(100, 64)
    softness: AtMost = AtMost(4.0, 10.0)
    halo: AtMost = AtMost(0.4, 0.65)
    recoloured: AtMost = AtMost(2.5, 5.0)
    changed: AtMost = AtMost(0.01, 0.08)
    pieces: AtMost = AtMost(1)
    specks: AtMost = AtMost(0.01, 0.1)
    blur: AtMost = AtMost(3.0, 5.0)
    brightest: AtLeast = AtLeast(18, 8)
    blown: AtMost = AtMost(0.5, 0.9)
    lead: AtLeast = AtLeast(1.05)
    worst_edges: AtLeast = AtLeast(0.3)
    disagreement: AtMost = AtMost(0.05)
    filled_holes: AtMost = AtMost(0)
    second_product: AtMost = AtMost(0.003, 0.02)
    colours: AtMost = AtMost(1.0, 2.0)
    worst_colours: AtMost = AtMost(4.0, 8.0)
    enlarged: AtMost = AtMost(2.0)
    firmness: AtLeast = AtLeast(1.0)
    steepness: AtMost = AtMost(35.0)
    megabytes: AtMost = AtMost(20, 20)
    megapixels: AtMost = AtMost(20, 20)
    looks: AtMost = AtMost(0.15)
    ground_inside: AtMost = AtMost(0.02)
    risk: AtMost = AtMost(0.2)

    def with_risk(self, *, review: float | None, fail: float | None) -> Gates:
        """These limits, but for the risks that the settings name.

        Args:
            review: Risk beyond which a person looks; ``None``: the theme's.
            fail: Risk beyond which the photo stops; in the same form.
        """
        return replace(
            self,
            risk=AtMost(
                self.risk.warn if review is None else review,
                self.risk.fail if fail is None else fail,
            ),
        )

    def at_the_frame(self) -> Gates:
        """These limits where a product that the photo's upper or lower edge cuts off stays at that
        edge of its picture, and looks as it was photographed. A theme's or a shop's own stays.
        """
        if self.frame != DEFAULT_GATES.frame:
            return self
        return replace(self, frame=_AT_THE_FRAME)

    def for_shop(self, *, max_bytes: int, max_pixels: int) -> Gates:
        """These limits, and those of the shop that the picture is for."""
        megabytes, megapixels = max_bytes / 1_000_000, max_pixels / 1_000_000
        return replace(
            self,
            megabytes=AtMost(megabytes, megabytes),
            megapixels=AtMost(megapixels, megapixels),
        )

    def with_limits(self, limits: Mapping[str, float]) -> Gates:
        """These limits with others in the place of those that ship; a theme's own stay.

        Args:
            limits: By the name here, beyond which number a person looks.
        """
        changed = {
            name: replace(getattr(DEFAULT_GATES, name), warn=warn)
            for name, warn in limits.items()
            if getattr(self, name, None) == getattr(DEFAULT_GATES, name, None) is not None
        }
        return replace(self, **changed)


DEFAULT_GATES: Final = Gates()
"""The limits of a theme that has none of its own."""

_AT_THE_FRAME: Final = AtMost(0.2, 0.3)
"""Share of the frame's border: one side of four, unless it is nearly filled."""

GATE_OF: Final[Mapping[tuple[str, str], str]] = {
    ("area", AtLeast.sign): "smallest",
    ("area", AtMost.sign): "largest",
    ("cut off at the frame", AtMost.sign): "frame",
    ("sides of the frame", AtMost.sign): "sides",
    ("longer side", AtLeast.sign): "side",
    ("products", AtMost.sign): "pieces",
    ("outline on edges", AtLeast.sign): "lead",
    ("worst stretch of outline", AtLeast.sign): "worst_edges",
    ("looks disagree", AtMost.sign): "looks",
    **{
        (name, getattr(DEFAULT_GATES, name.replace(" ", "_")).sign): name.replace(" ", "_")
        for name in (
            *("softness", "halo", "recoloured", "changed", "specks", "blur", "brightest"),
            *("blown", "found", "ground inside", "disagreement", "filled holes", "colours"),
            *("worst colours", "enlarged", "firmness", "steepness", "second product", RISK),
        )
    },
}
"""Names in `Gates` by the name of a measure and the sign of its limit; without those limits that
are the shop's, such as the size of a file."""

_ANOTHER_CUTOUT = "Look at the cut-out; another provider may do better (CUTOUT_PROVIDER)."
_ANOTHER_PHOTO = "Take the photo again"


def check_cutout(
    gates: Gates,
    numbers: CutoutNumbers,
    *,
    found: float | None,
    opinion: CutoutOpinion | None,
    looks: float | None = None,
    ground_inside: float | None = None,
    risk: Risk | None = None,
    risk_map: RiskMap | None = None,
) -> CheckResult:
    """Judge a cut-out and the photo that it is of.

    Args:
        found: How sure the network was; ``None`` where the provider does not say.
        opinion: The second opinion; ``None`` where there is none to be had.
        looks: Area where the network's looks contradict each other, share of the product's;
            ``None`` where another provider cut out, or an earlier version.
        ground_inside: Share of the product that has the ground's colour, 0 to 1; in the same form.
        risk: What all of this comes to; ``None`` where it was not asked for.
        risk_map: How this shop reads a risk; ``None``: as it is.
    """
    measures = [
        *(() if risk is None else _risk(risk, gates.risk, risk_map)),
        _measure("area", numbers.area, gates.smallest, f"{_ANOTHER_PHOTO} from nearer.")
        if numbers.area < gates.largest.warn
        else _measure("area", numbers.area, gates.largest, _ANOTHER_CUTOUT),
        _measure(
            "cut off at the frame",
            numbers.frame,
            gates.frame,
            f"{_ANOTHER_PHOTO} with ground on all sides of the product.",
        ),
        _measure(
            "sides of the frame",
            numbers.sides,
            gates.sides,
            f"It fills the photo from side to side. {_ANOTHER_PHOTO} with ground on all sides of "
            "the product.",
        ),
        _measure("longer side", numbers.side, gates.side, "Send the photo in its full size."),
        _measure("softness", numbers.softness, gates.softness, _ANOTHER_CUTOUT),
        _measure("halo", numbers.halo, gates.halo, _ANOTHER_CUTOUT),
        _measure("recoloured", numbers.recoloured, gates.recoloured, _ANOTHER_CUTOUT),
        _measure(
            "changed",
            numbers.changed,
            gates.changed,
            f"The provider repainted or moved the product. {_ANOTHER_CUTOUT}",
        ),
        _measure("products", numbers.pieces, gates.pieces, "Is each of them for sale?"),
        _measure("specks", numbers.specks, gates.specks, _ANOTHER_CUTOUT),
        Measure("holes", numbers.holes),
        _measure(
            "brightest",
            numbers.brightest,
            gates.brightest,
            f"The product is black all over: {_ANOTHER_PHOTO.lower()} with more light.",
        ),
        _measure(
            "blown",
            numbers.blown,
            gates.blown,
            f"The product is white without any drawing: {_ANOTHER_PHOTO.lower()} with less light.",
        ),
        _measure("blur", numbers.blur, gates.blur, f"{_ANOTHER_PHOTO}, in focus and steady."),
        _measure("found", found, gates.found, "Look at the original."),
        _measure(
            "looks disagree",
            looks,
            gates.looks,
            f"The networks disagree about {_percent(looks)} of the product: a part of it may be "
            "missing, or a thing that is not for sale left in. Compare the outline with the photo.",
        ),
        _measure(
            "ground inside",
            ground_inside,
            gates.ground_inside,
            f"Ground shows through inside the outline: {_percent(ground_inside)} of the product "
            "has the ground's colour. Look at openings, and between parts.",
        ),
    ]
    if opinion is not None:
        measures += [
            Measure("second opinion", opinion.witness),
            _measure("disagreement", opinion.disagreement, gates.disagreement, _ANOTHER_CUTOUT),
            _measure("filled holes", opinion.filled_holes, gates.filled_holes, _ANOTHER_CUTOUT),
        ]
    return CheckResult(CUTOUT_QUALITY, Stage.MASK, tuple(filter(None, measures)))


def check_outline(gates: Gates, support: EdgeSupport) -> tuple[Measure, ...]:
    """Judge an outline by the photo's edges alone, where no network has looked at it."""
    advice = (
        "No network on this machine has looked at it (SECOND_OPINION=on fetches one), and the "
        "photo's edges do not speak for this outline: see that no part is missing, and no ground "
        "is left in."
    )
    measures = (
        _measure("outline on edges", support.lead, gates.lead, advice),
        _measure("worst stretch of outline", support.worst, gates.worst_edges, advice),
    )
    return tuple(filter(None, measures))


def check_picture(
    gates: Gates,
    numbers: PictureNumbers,
    *,
    lies_because: str | None = None,
    misfit: Measure | None = None,
    kind: Measure | None = None,
) -> CheckResult:
    """Judge a composite and its background.

    Args:
        lies_because: Why a product is held to lie or hang that is shown with a table, which no
            person has said should be.
        misfit: That the product is too large for the scene, see `wrong_size`.
        kind: That a person looks at all of its kind, see `kind_to_look_at`.
    """
    other_colours = "The product's colours changed: compare the picture with the original."
    measures = (
        _measure("megabytes", numbers.bytes / 1_000_000, gates.megabytes, "Choose a smaller size."),
        _measure(
            "megapixels",
            numbers.width * numbers.height / 1_000_000,
            gates.megapixels,
            "Choose a smaller size.",
        ),
        Measure(
            "sRGB profile",
            numbers.srgb,
            Verdict.PASS if numbers.srgb else Verdict.FAIL,
            "embedded",
            "" if numbers.srgb else "Materialize the composite again.",
        ),
        _measure("colours", numbers.colours, gates.colours, other_colours),
        _measure("worst colours", numbers.worst_colours, gates.worst_colours, other_colours),
        _measure(
            "enlarged",
            numbers.scale,
            gates.enlarged,
            f"The product will look soft: {_ANOTHER_PHOTO.lower()} larger, or from nearer.",
        ),
        _measure(
            "firmness",
            numbers.firmness,
            gates.firmness,
            "It would stand on a point or tip over, if it does not lie: choose a plain theme such "
            "as default or minimal, which suits both.",
        ),
        _measure(
            "steepness",
            numbers.steepness,
            gates.steepness,
            "It was photographed from steeply above and would tip towards the camera on this "
            "table: take the photo from the product's own height, or choose a plain theme "
            "such as default or minimal.",
        ),
        None if lies_because is None else _with_a_table(lies_because),
        misfit,
        kind,
        _measure(
            "second product",
            numbers.second_product,
            gates.second_product,
            "The background shows a thing of its own: ask for another background.",
        ),
    )
    return CheckResult(PICTURE_QUALITY, Stage.COMPOSITE, tuple(filter(None, measures)))


def _with_a_table(why: str) -> Measure:
    return Measure(
        "pose",
        "over a table",
        Verdict.WARN,
        "on a plain ground",
        f"It lies or hangs in its photo ({why}): choose a plain theme such as default or minimal, "
        "or approve the picture if it looks right.",
    )


def wrong_size(size: str, fits: Collection[str], why: str) -> Measure:
    """That a product is larger in life than what looks right in a scene: a person looks at it.

    Args:
        fits: The sizes that do look right.
        why: What says that it is so large.
    """
    return Measure(
        "size in life",
        size,
        Verdict.WARN,
        " or ".join(fits),
        f"It would look like a toy in this scene ({why}): choose a theme whose ground is a floor, "
        "such as default or minimal.",
    )


def kind_to_look_at(kind: str, doubt: str, why: str) -> Measure:
    """That a person looks at every product of this kind.

    Args:
        doubt: Why.
        why: What says that it is of this kind.
    """
    return Measure("kind", kind, Verdict.WARN, "", f"Compare it with the photo: {doubt} ({why}).")


def in_mode(checks: Iterable[CheckResult], mode: Mode) -> tuple[CheckResult, ...]:
    """The checks as `QUALITY_GATES` would have them: with ``review``, what fails only warns."""
    match mode:
        case "enforce":
            return tuple(checks)
        case "review":
            return tuple(_lenient(check) for check in checks)
        case "off":
            return ()


def _lenient(check: CheckResult) -> CheckResult:
    return replace(
        check,
        measures=tuple(
            replace(each, verdict=Verdict.WARN) if each.verdict is Verdict.FAIL else each
            for each in check.measures
        ),
    )


def _risk(risk: Risk, limit: AtMost, read: RiskMap | None) -> tuple[Measure, ...]:
    value = risk.value if read is None else read(risk.value)
    verdict = limit.verdict(value)
    advice = "" if verdict is Verdict.PASS else told(risk.reasons)
    measure = Measure(RISK, round(value, 4), verdict, str(limit), advice, risk.box)
    return (measure,) if read is None else (measure, Measure(RISK_AS_SHIPPED, round(risk.value, 4)))


def _percent(share: float | None) -> str:
    """A share for a person: at least 1 %, since 0 % is never what is told of, and no number above
    100 %, which areas in dispute beside a small product come to.
    """
    if share is None:
        return ""
    return "more than 100 %" if share > 1 else f"{max(1, round(100 * share))} %"


def _measure(name: str, value: float | None, limit: Limit, advice: str) -> Measure | None:
    """A number that has a limit; ``None`` where it was not measured."""
    if value is None:
        return None
    verdict = limit.verdict(value)
    shown = value if isinstance(value, int) else round(value, 4)
    return Measure(name, shown, verdict, str(limit), "" if verdict is Verdict.PASS else advice)
