"""JSON with a byte order mark, and with texts that are cut within a character."""

import json
import math

import pytest

from photopipe_dagster.core.json_text import read_json, whole_texts

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "\xc3\xa4"}', {"a": "ä"}),
        (BOM + b'{"a": "\xc3\xa4"}', {"a": "ä"}),
        (json.dumps({"a": "ä"}).encode("utf-16"), {"a": "ä"}),
        (rb'["Robot \ud83e\udd16"]', ["Robot \U0001f916"]),
        (rb'["Robot \ud83e"]', ["Robot \ud83e"]),
        (BOM + rb'["Robot \udd16"]', ["Robot \udd16"]),
        (b'["Robot \xf0\x9f", "mug"]', ["Robot \udcf0\udc9f", "mug"]),
        (b'["\xe4", "mug"]', ["\udce4", "mug"]),
        (rb'["\ud83e", ' + b"9" * 5000 + b"]", ["\ud83e", math.inf]),
    ],
)
def test_what_can_be_told_is_read(data, value):
    assert read_json(data) == value


@pytest.mark.parametrize(
    "data",
    [b"", BOM, BOM + BOM + b"{}", b"{", b"['a']", b"[" * 100_000, b"\xff\xfe{", b'{"a": 1} b'],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011  # each parser has words of its own
        read_json(data)


@pytest.mark.parametrize("beside", [b'"a"', rb'"\ud83e"'])
@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_constants_that_are_no_json_can_be_refused(constant, beside):
    document = b"[" + beside + b", " + constant + b"]"
    assert not math.isfinite(read_json(document)[1])
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(document, allow_inf_nan=False)


def test_texts_are_made_whole_wherever_they_are():
    read = read_json(rb'{"a\ud83e": ["b\udd16", {"c": "d", "n": 1}], "e": null}')
    assert whole_texts(read) == {"a?": ["b?", {"c": "d", "n": 1}], "e": None}
    json.dumps(whole_texts(read), ensure_ascii=False).encode()
