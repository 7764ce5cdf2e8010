from __future__ import annotations

import pytest

from photopipe_dagster.sandbox.shopify.search import parse, resembles

FIELDS = frozenset({"sku", "title", "status", "id"})
RECORD = {
    "sku": ["VWS ITEM_#2_2012_750ML"],
    "title": ["Red wine"],
    "status": ["ACTIVE"],
    "id": ["gid://shopify/Product/12", "12"],
    "default": ["Red wine", "VWS ITEM_#2_2012_750ML"],
}


def test_a_value_matches_whatever_begins_with_the_same_words():
    assert resembles("AB-1", "AB-1")
    assert resembles("AB-1", "ab_1")
    assert resembles("AB-1", "AB-10")
    assert resembles("AB-1", "AB-1-XL")
    assert not resembles("AB-1", "AB-2")
    assert not resembles("AB-1", "X-AB-1")
    assert not resembles("AB-1", "AB")
    assert resembles("###", "###")
    assert not resembles("###", "##")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ('sku:"VWS ITEM_#2_2012_750ML"', True),
        ("sku:'vws item_#2_2012_750ml'", True),
        (r"sku:VWS\ ITEM_#2_2012_750ML", True),
        ('sku:"VWS ITEM_#3"', False),
        ("sku:VWS*", True),
        ("sku:*", True),
        ('sku:"VWS" AND title:red', True),
        ("title:white OR title:red", True),
        ("title:white title:red", False),
        ("-title:red", False),
        ("NOT title:white", True),
        ("(title:white OR status:active) sku:vws", True),
        ("status:act", False),
        ("id:12", True),
        ("id:1", False),
        ("wine", True),
        ("win 2012", True),
        ("beer", False),
        ('sku:"unclosed', False),
        ("ORange", False),
    ],
)
def test_the_syntax(query, expected):
    assert parse(query, FIELDS).matches(RECORD) is expected


@pytest.mark.parametrize("query", [")", "((", ":", '"', "\\", "- -", "sku:", "OR OR", "a )b( c"])
def test_nonsense_ends_somehow(query):
    assert parse(query, FIELDS).matches(RECORD) in (True, False)


def test_an_escaped_quote_belongs_to_the_value():
    record = {"sku": ['5" PIPE'], "default": []}
    assert parse(r'sku:"5\" PIPE"', FIELDS).matches(record)
    assert not parse(r'sku:"5\" TUBE"', FIELDS).matches(record)


def test_an_unknown_field_is_ignored_and_named():
    search = parse("colour:red sku:vws", FIELDS)
    assert search.unknown == ("colour",)
    assert search.matches(RECORD)
