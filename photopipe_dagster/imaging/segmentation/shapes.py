"""What networks that find products are fed: their size, and how their colours are scaled.

Of the usual families, as each project's own inference code has it:

- u2net   320 × 320, ImageNet's mean and deviation (U²-Net, U²-Net-p, silueta)
- isnet   1024 × 1024, mean 0.5 and deviation 1 (DIS)
- rmbg    the same (RMBG 1.4)
- birefnet  1024 × 1024, ImageNet's, answers logits (BiRefNet, RMBG 2.0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from photopipe_dagster.core.errors import ConfigurationError

ShapeName = Literal["auto", "u2net", "isnet", "rmbg", "birefnet"]

_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF: Final = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a network is fed.

    Args:
        side: Pixels; its input is a square.
        mean: Of red, green and blue, which lie from 0 to 1.
        deviation: As above.
    """

    side: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


SHAPES: Final[Mapping[str, NetworkShape]] = {
    "u2net": NetworkShape(320, *_IMAGENET),
    "isnet": NetworkShape(1024, *_HALF),
    "rmbg": NetworkShape(1024, *_HALF),
    "birefnet": NetworkShape(1024, *_IMAGENET),
}

_WORDS: Final = {
    "rmbg-2": "birefnet",
    "rmbg_2": "birefnet",
    "rmbg2": "birefnet",
    "birefnet": "birefnet",
    "rmbg": "rmbg",
    "isnet": "isnet",
    "u2net": "u2net",
    "silueta": "u2net",
}
"""Parts of file names, and the family that each means; the first one counts."""

_NEEDED: Final = (
    "a network of the kinds u2net, isnet, rmbg or birefnet is needed: one input of "
    "1 × 3 × side × side, and a first output of 1 × 1 × side × side"
)


def read_shape(
    inputs: Sequence[Any], outputs: Sequence[Any], file_name: str, named: ShapeName = "auto"
) -> NetworkShape:
    """What the network of a file is fed.

    Args:
        inputs: Of an onnxruntime session, with `name`, `shape` and `type`.
        outputs: As above.
        file_name: Says the family where `named` does not, and the size does not tell it.
        named: The family, as CUTOUT_MODEL_SHAPE has it.

    Raises:
        ConfigurationError: It is no such network; says what was found, and what is needed.
    """
    found = "; ".join(
        f"{what} {each.name!r} of {' × '.join(map(str, each.shape))}"
        for what, group in (("input", inputs), ("output", outputs))
        for each in group[:2]
    )
    if len(inputs) != 1 or not outputs:
        raise _wrong(file_name, found)
    channels = list(inputs[0].shape[1:2])
    sides = list(inputs[0].shape[2:])
    fixed = {side for side in sides if isinstance(side, int)}
    if len(sides) != 2 or len(fixed) > 1 or channels not in ([3], ["channels"]):
        raise _wrong(file_name, found)
    if len(outputs[0].shape) not in (3, 4) or "float" not in inputs[0].type:
        raise _wrong(file_name, found)
    side = next(iter(fixed), None)
    family = _family(file_name, side) if named == "auto" else named
    if family is None:
        raise ConfigurationError(
            f"{file_name} has {found}: how its colours are scaled cannot be told. Set "
            f"CUTOUT_MODEL_SHAPE to {', '.join(SHAPES)}."
        )
    shape = SHAPES[family]
    return shape if side is None else replace(shape, side=side)


def _family(file_name: str, side: int | None) -> str | None:
    name = file_name.lower()
    told = next((family for word, family in _WORDS.items() if word in name), None)
    return told or ("u2net" if side == SHAPES["u2net"].side else None)


def _wrong(file_name: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file_name} has {found or 'nothing'}; {_NEEDED}. Point CUTOUT_MODEL_PATH at one, or "
        "leave it empty."
    )
