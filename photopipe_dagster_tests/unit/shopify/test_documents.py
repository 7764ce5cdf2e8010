"""The documents are what they are said to be."""

from importlib.resources import files

import pytest
from graphql import OperationDefinitionNode, parse

from photopipe_dagster.shopify import documents
from photopipe_dagster.shopify.access import NEEDED_SCOPES

NAMES = sorted(
    entry.name.removesuffix(".graphql")
    for entry in files(documents).iterdir()
    if entry.name.endswith(".graphql")
)


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_one_operation_named_like_the_file(name: str) -> None:
    document = documents.load(name)
    (operation,) = parse(document.text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    assert operation.name.value == name.title().replace("_", "")
    assert document.mutates == (operation.operation.value == "mutation")


@pytest.mark.parametrize("name", NAMES)
def test_each_file_names_a_scope_that_is_asked_for_at_start(name: str) -> None:
    assert documents.load(name).scope in (*NEEDED_SCOPES, "")


def test_an_unknown_document_is_a_defect() -> None:
    with pytest.raises(FileNotFoundError):
        documents.load("nothing")
