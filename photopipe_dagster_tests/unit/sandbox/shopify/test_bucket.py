from __future__ import annotations

import pytest
from graphql import get_operation_ast, parse

from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.shopify.bucket import Estimator, LeakyBucket, actual_cost
from photopipe_dagster.sandbox.shopify.execution import load_schema


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("{shop{name}}", 1),
        ("{productVariants(first:10){nodes{id sku product{id}}}}", 2 + 10 * 2),
        ("{files(first:3){nodes{id} pageInfo{hasNextPage}}}", 2 + 3),
        (
            "query($n:Int){productVariants(first:$n){nodes{product{media(first:2){nodes{id}}}}}}",
            2 + 5 * (2 + 4),
        ),
        (
            """{product(id:1){...P}}
            fragment P on Product{category{id} media(first:1){nodes{...M}}}
            fragment M on MediaImage{image{url}}""",
            1 + 1 + 2 + 2,
        ),
        ("mutation{fileDelete(fileIds:[]){deletedFileIds}}", 10),
        (
            """mutation{a:fileDelete(fileIds:[]){userErrors{message}}
            b:fileDelete(fileIds:[]){deletedFileIds}}""",
            21,
        ),
        ("query{...R} fragment R on QueryRoot{...on QueryRoot{shop{name}}}", 1),
        ("mutation{...M} fragment M on Mutation{fileDelete(fileIds:[]){deletedFileIds}}", 10),
    ],
)
def test_cost_before_execution(query, points):
    document = parse(query)
    estimate = Estimator(load_schema(), document, {"n": 5}).cost(get_operation_ast(document))
    assert estimate == points


def test_cost_after_execution_counts_objects():
    data = {
        "products": {
            "nodes": [{"id": 1, "media": {"nodes": []}}, {"id": 2}],
            "pageInfo": {"endCursor": None},
        }
    }
    assert actual_cost(data, 0) == 2
    assert actual_cost({"fileCreate": {"files": []}}, 1) == 11
    assert actual_cost(None, 0) == 0


def test_the_bucket_leaks_back_with_time():
    clock = Clock()
    bucket = LeakyBucket(clock, 100, 10)

    assert bucket.take(95)
    assert not bucket.take(20)
    clock.advance(2)
    assert bucket.take(20)
    clock.advance(3600)
    assert bucket.status() == {
        "maximumAvailable": 100,
        "currentlyAvailable": 100,
        "restoreRate": 10,
    }
