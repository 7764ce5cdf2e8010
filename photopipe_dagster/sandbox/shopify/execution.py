"""Runs GraphQL documents against the schema: validated, paid for, executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution import ExecutionResult
from graphql.pyutils import camel_to_snake

from photopipe_dagster.sandbox.clock import iso
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.shopify import mutations, queries
from photopipe_dagster.sandbox.shopify.bucket import (
    MAX_DOCUMENT_POINTS,
    Estimator,
    actual_cost,
    root_fields,
)
from photopipe_dagster.sandbox.shopify.context import RequestContext, check_scope

_ANY = "shopify.graphql"
SDL = Path(__file__).with_name("admin.graphqls")
_TYPES = {
    "Product": "Product",
    "Variant": "ProductVariant",
    "MediaFile": "MediaImage",
    "Category": "TaxonomyCategory",
}


@lru_cache(maxsize=1)
def load_schema() -> GraphQLSchema:
    """The subset of Shopify's schema that is served."""
    schema = build_schema(SDL.read_text(encoding="utf-8"))
    for name, method, function in (
        ("UnsignedInt64", "parse_value", _unsigned),
        ("DateTime", "serialize", iso),
    ):
        setattr(schema.type_map[name], method, function)
    return schema


def _unsigned(value: Any) -> int:
    # 64 bits do not fit into JSON's numbers, so that it is a string there.
    if isinstance(value, str) and value.isdigit():
        return int(value)
    raise GraphQLError(f"UnsignedInt64 is a string of digits, not {value!r}")


@dataclass(frozen=True, slots=True)
class Request:
    """A body that was posted.

    Args:
        operations: Names for faults and counters.
        text: The document as it came.
        document: The parsed document; ``None`` if it has errors.
        operation: The one to run.
        variables: Its variables.
        errors: Why it cannot run.
    """

    operations: tuple[str, ...]
    text: str = ""
    document: DocumentNode | None = None
    operation: OperationDefinitionNode | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[GraphQLError, ...] = ()

    @property
    def mutations(self) -> int:
        """How many mutations the operation holds."""
        if self.operation is None or self.operation.operation is not OperationType.MUTATION:
            return 0
        return len(self.operations) - 1


def read(payload: object) -> Request:
    """Parse and validate a body."""
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return _invalid(GraphQLError("Parameter Missing or Invalid: query"))
    variables = payload.get("variables") or {}
    if not isinstance(variables, dict):
        return _invalid(GraphQLError("Variables must be an object"))
    try:
        document = parse(payload["query"])
    except GraphQLError as error:
        return _invalid(error)
    operation = get_operation_ast(document, payload.get("operationName"))
    if operation is None:
        return _invalid(GraphQLError("An operation name is required"))
    names = tuple(f"shopify.{name}" for name in root_fields(document, operation))
    errors = _flaws(payload["query"])
    return Request((_ANY, *names), payload["query"], document, operation, variables, errors)


@lru_cache(maxsize=256)
def _flaws(text: str) -> tuple[GraphQLError, ...]:
    """What the schema finds wrong with a document; clients send the same few again and again."""
    return tuple(validate(load_schema(), parse(text)))


@lru_cache(maxsize=256)
def _deprecations(text: str) -> tuple[GraphQLError, ...]:
    return tuple(validate(load_schema(), parse(text), [NoDeprecatedCustomRule]))


def _invalid(error: GraphQLError) -> Request:
    return Request((_ANY,), errors=(error,))


def uses_deprecated(request: Request) -> bool:
    """Whether a valid document asks for something deprecated."""
    if request.document is None:
        return False
    return bool(_deprecations(request.text))


async def run(request: Request, context: RequestContext) -> dict[str, Any]:
    """Run a document and return the body of the answer; its HTTP status is 200 whatever happens."""
    bucket = context.store.bucket
    if request.errors or request.document is None or request.operation is None:
        content: dict[str, Any] = {"errors": [error.formatted for error in request.errors]}
        return _with_cost(content, context, 0.0, 0.0)
    requested = Estimator(load_schema(), request.document, request.variables).cost(
        request.operation
    )
    refusal = _planned(context.fault)
    if refusal is None and requested > MAX_DOCUMENT_POINTS:
        text = f"Query cost is {requested:g}, which exceeds the single query max cost limit (1000)."
        refusal = _error(text, "MAX_COST_EXCEEDED")
    if refusal is None and not bucket.take(requested):
        refusal = throttled()
    if refusal is not None:
        return _with_cost(refusal, context, requested, None)
    await context.store.load_pending()
    content = _execute(request, context)
    context.store.count_polls(context.seen)
    actual = min(requested, actual_cost(content.get("data"), request.mutations))
    bucket.give_back(requested - actual)
    return _with_cost(content, context, requested, actual)


def _execute(request: Request, context: RequestContext) -> dict[str, Any]:
    if request.document is None or request.operation is None:
        raise ValueError("only a valid request is executed")
    name = request.operation.name
    with context.store.lock:
        result = execute(
            load_schema(),
            request.document,
            root_value=None,
            context_value=context,
            variable_values=dict(request.variables),
            operation_name=name.value if name else None,
            field_resolver=_resolve,
            type_resolver=lambda value, *_: _TYPES.get(type(value).__name__),
        )
    if not isinstance(result, ExecutionResult):
        raise TypeError("a resolver is asynchronous")
    content: dict[str, Any] = {"data": result.data}
    if result.errors:
        content["errors"] = [_formatted(error) for error in result.errors]
    return content


def _resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    parent, name = info.parent_type.name, info.field_name
    if parent in ("QueryRoot", "Mutation"):
        check_scope(info.context, name)
    if parent == "Mutation":
        return mutations.RESOLVERS[name](None, info.context, **arguments)
    resolver = queries.RESOLVERS.get(parent, {}).get(name)
    if resolver is not None:
        return resolver(source, info.context, **arguments)
    if isinstance(source, dict):
        return source.get(name)
    return getattr(source, camel_to_snake(name))


def _formatted(error: GraphQLError) -> dict[str, Any]:
    content: dict[str, Any] = dict(error.formatted)
    if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        content["extensions"] = {"code": "INTERNAL_SERVER_ERROR"}
    return content


def _planned(fault: Fault | None) -> dict[str, Any] | None:
    if fault is None:
        return None
    if fault.kind == "throttled":
        return throttled()
    if fault.kind == "graphql_error":
        return _error(fault.message, fault.code or "INTERNAL_SERVER_ERROR")
    return None


def throttled() -> dict[str, Any]:
    """The body of a throttled answer: errors, no data, HTTP 200."""
    content = _error("Throttled", "THROTTLED")
    documentation = "https://shopify.dev/api/usage/rate-limits"
    content["errors"][0]["extensions"]["documentation"] = documentation
    return content


def _error(text: str, code: str) -> dict[str, Any]:
    return {"errors": [{"message": text, "extensions": {"code": code}}]}


def _with_cost(
    content: dict[str, Any], context: RequestContext, requested: float, actual: float | None
) -> dict[str, Any]:
    extensions: dict[str, Any] = {
        "cost": {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": context.store.bucket.status(),
        }
    }
    if context.warnings:
        extensions["search"] = context.warnings
    return {**content, "extensions": extensions}
