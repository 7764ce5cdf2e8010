"""The schema that is served says nothing that Shopify's own does not say."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from graphql import (
    GraphQLSchema,
    Undefined,
    build_client_schema,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_specified_scalar_type,
)

from photopipe_dagster.sandbox.faults import SCOPES
from photopipe_dagster.sandbox.shopify import mutations, queries
from photopipe_dagster.sandbox.shopify.execution import load_schema

NAME = "admin-2026-10.schema.json.gz"


@pytest.fixture(scope="module")
def real() -> GraphQLSchema:
    beside = Path(__file__).resolve().parents[5] / "shared" / "shopify" / NAME
    path = Path(os.environ.get("PHOTOPIPE_SHOPIFY_SCHEMA", beside))
    if not path.is_file():
        pytest.skip(
            "Shopify's introspection is not here: set PHOTOPIPE_SHOPIFY_SCHEMA to the JSON of "
            "version 2026-10, plain or gzipped."
        )
    data = path.read_bytes()
    content = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return build_client_schema(content.get("data", content))


def served() -> list:
    types = load_schema().type_map.values()
    return [
        kind
        for kind in types
        if not kind.name.startswith("__") and not is_specified_scalar_type(kind)
    ]


def _default(argument) -> object:
    return None if argument.default_value is Undefined else argument.default_value


def test_every_type_field_and_argument_exists_there_with_the_same_type(real):
    compared = 0
    for kind in served():
        original = real.type_map.get(kind.name)
        assert type(original) is type(kind), kind.name
        for name, field in getattr(kind, "fields", {}).items():
            place = f"{kind.name}.{name}"
            true = original.fields.get(name)
            assert true is not None, place
            assert str(true.type) == str(field.type), place
            if is_input_object_type(kind):
                assert _default(true) == _default(field), place
            for argument, given in getattr(field, "args", {}).items():
                assert argument in true.args, f"{place}({argument})"
                assert str(true.args[argument].type) == str(given.type), f"{place}({argument})"
                assert _default(true.args[argument]) == _default(given), f"{place}({argument})"
            compared += 1
    assert compared > 120


def test_enums_are_complete_and_interfaces_are_true(real):
    for kind in served():
        original = real.type_map[kind.name]
        if is_enum_type(kind):
            assert set(kind.values) == set(original.values), kind.name
        if is_object_type(kind) or is_interface_type(kind):
            true = {interface.name for interface in original.interfaces}
            assert {interface.name for interface in kind.interfaces} <= true, kind.name


def test_nothing_that_is_required_was_left_out(real):
    for kind in served():
        original = real.type_map[kind.name]
        if is_input_object_type(kind):
            left_out = set(original.fields) - set(kind.fields)
            required = {name for name in left_out if str(original.fields[name].type)[-1] == "!"}
            assert not required, kind.name
        for name, field in getattr(kind, "fields", {}).items():
            arguments = getattr(original.fields[name], "args", {})
            left_out = set(arguments) - set(getattr(field, "args", {}))
            required = {one for one in left_out if str(arguments[one].type)[-1] == "!"}
            assert not required, f"{kind.name}.{name}"


def test_the_directive_and_deprecations_are_true(real):
    mine, true = load_schema().get_directive("idempotent"), real.get_directive("idempotent")
    assert mine.locations == true.locations
    assert {name: str(arg.type) for name, arg in mine.args.items()} == {
        name: str(arg.type) for name, arg in true.args.items()
    }
    for kind in served():
        if is_object_type(kind):
            for name, field in kind.fields.items():
                deprecated = real.type_map[kind.name].fields[name].deprecation_reason is not None
                assert (field.deprecation_reason is not None) == deprecated, f"{kind.name}.{name}"


def test_every_root_field_is_resolved_and_known_to_faults():
    schema = load_schema()
    assert set(schema.query_type.fields) == set(queries.RESOLVERS["QueryRoot"])
    assert set(schema.mutation_type.fields) == set(mutations.RESOLVERS)
    assert set(SCOPES) == set(schema.query_type.fields) | set(schema.mutation_type.fields)
