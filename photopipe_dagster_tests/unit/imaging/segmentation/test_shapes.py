"""Networks of each family as ONNX files, written here byte by byte, and files that are none."""

import math

import numpy as np
import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.imaging.segmentation.cutout import SIDE, CutoutModel
from photopipe_dagster.imaging.segmentation.shapes import SHAPES

HALF_BLACK = np.zeros((64, 64, 3), np.uint8)
HALF_BLACK[:, 32:] = 255


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def put(place: int, value: bytes | str | int) -> bytes:
    """One field of a Protocol Buffers message."""
    if isinstance(value, int):
        return varint(place << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(place << 3 | 2) + varint(len(data)) + data


def tensor(name: str, dims: tuple[int | str, ...]) -> bytes:
    sizes = b"".join(put(1, put(1 if isinstance(dim, int) else 2, dim)) for dim in dims)
    return put(1, name) + put(2, put(1, put(1, 1) + put(2, sizes)))


def node(kind: str, given: str, made: str, attributes: bytes = b"") -> bytes:
    return put(1, given) + put(2, made) + put(4, kind) + attributes


def network(side: int | str, *, logits: bool = False, channels: int = 3, name: str = "in") -> bytes:
    """Sees what is dark: the mean of the channels, turned round and, unless logits, squashed."""
    axes = put(1, "axes") + put(8, 1) + put(20, 7)
    nodes = [node("ReduceMean", name, "mean", put(5, axes)), node("Neg", "mean", "neg")]
    if not logits:
        nodes.append(node("Sigmoid", "neg", "out"))
    graph = b"".join(put(1, each) for each in nodes) + put(2, "tiny")
    graph += put(11, tensor(name, (1, channels, side, side)))
    graph += put(12, tensor("neg" if logits else "out", (1, 1, side, side)))
    return put(1, 8) + put(7, graph) + put(8, put(2, 13))


@pytest.mark.parametrize(
    ("file", "data", "named", "family"),
    [
        ("u2netp.onnx", network(320), "auto", "u2net"),
        ("mine.onnx", network(320), "auto", "u2net"),
        ("isnet-general-use.onnx", network(1024), "auto", "isnet"),
        ("RMBG-1.4.onnx", network("height"), "auto", "rmbg"),
        ("BiRefNet-lite.onnx", network(1024, logits=True), "auto", "birefnet"),
        ("RMBG-2.0.onnx", network(1024), "auto", "birefnet"),
        ("mine.onnx", network(512, logits=True), "birefnet", "birefnet"),
    ],
)
def test_each_family_is_fed_as_it_wants(tmp_path, file, data, named, family):
    path = tmp_path / file
    path.write_bytes(data)
    seen = CutoutModel(path, shape=named).saliency(HALF_BLACK)
    assert seen.map.shape == (SIDE, SIDE)
    shape = SHAPES[family]
    dark = sum(mean / each for mean, each in zip(shape.mean, shape.deviation, strict=True)) / 3
    assert seen.raw_maximum == pytest.approx(1 / (1 + math.exp(-dark)), abs=1e-3)
    assert seen.map[160, 20] > 0.9
    assert seen.map[160, 300] < 0.1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (network(320, channels=4), "1 × 4 × 320 × 320.*one input of 1 × 3"),
        (network(1024), "CUTOUT_MODEL_SHAPE to u2net, isnet, rmbg, birefnet"),
        (b"no network", "no model that can be loaded"),
    ],
)
def test_another_file_is_told_by_what_it_has_and_what_is_needed(tmp_path, data, says):
    path = tmp_path / "mine.onnx"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=says):
        CutoutModel(path).saliency(HALF_BLACK)
