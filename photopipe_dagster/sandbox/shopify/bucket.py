"""What a document costs, and the leaky bucket that it is paid from.

Source of the rules: shopify.dev/docs/api/usage/limits. A scalar costs 0, an object 1, a mutation
10, a connection 2 and its size times what one node costs; a document may cost 1000 at most.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
    value_from_ast_untyped,
)

from photopipe_dagster.sandbox.clock import Clock

MAX_DOCUMENT_POINTS = 1000.0
_MUTATION_POINTS = 10.0
_CONNECTION_POINTS = 2.0

_Composite = GraphQLObjectType | GraphQLInterfaceType


@dataclass(frozen=True, slots=True)
class Estimator:
    """Works out what a valid document costs before it runs."""

    schema: GraphQLSchema
    document: DocumentNode
    variables: Mapping[str, Any]

    def cost(self, operation: OperationDefinitionNode) -> float:
        """Points of one operation."""
        root = self.schema.get_root_type(operation.operation)
        if root is None:
            return 0.0
        points = self._selections(root, operation.selection_set)
        if operation.operation is OperationType.MUTATION:
            points += _MUTATION_POINTS * len(root_fields(self.document, operation))
        return points

    def _selections(self, parent: _Composite, selections: SelectionSetNode | None) -> float:
        if selections is None:
            return 0.0
        points = 0.0
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                points += self._field(parent, selection)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._composite(condition.name.value) if condition else parent
                points += self._selections(inner or parent, selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = _fragments(self.document)[selection.name.value]
                inner = self._composite(fragment.type_condition.name.value)
                points += self._selections(inner or parent, fragment.selection_set)
        return points

    def _field(self, parent: _Composite, field: FieldNode) -> float:
        definition = parent.fields.get(field.name.value)
        if definition is None:
            return 0.0
        kind = get_named_type(definition.type)
        if is_leaf_type(kind) or not isinstance(kind, _Composite):
            return 0.0
        if kind.name == "PageInfo":
            return 0.0
        inner = self._selections(kind, field.selection_set)
        if kind.name.endswith("Connection"):
            return _CONNECTION_POINTS + self._size(field) * inner
        is_payload = kind.name.endswith("Payload")
        return inner if is_payload else self._ids(field) * (1.0 + inner)

    def _ids(self, field: FieldNode) -> int:
        """How many objects a field asks for by their ids; 1 if by none."""
        ids = self._argument(field, "ids")
        return len(ids) if isinstance(ids, list) else 1

    def _size(self, field: FieldNode) -> int:
        size = self._argument(field, "first")
        return size if isinstance(size, int) else 0

    def _argument(self, field: FieldNode, name: str) -> object:
        for argument in field.arguments:
            if argument.name.value == name:
                return value_from_ast_untyped(argument.value, dict(self.variables))
        return None

    def _composite(self, name: str) -> _Composite | None:
        kind = self.schema.type_map.get(name)
        return kind if isinstance(kind, _Composite) else None


def root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> list[str]:
    """Names of the fields that an operation asks the root for, fragments looked through."""
    fragments = _fragments(document)
    found: list[str] = []

    def collect(selections: SelectionSetNode, visited: frozenset[str]) -> None:
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                found.append(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                collect(selection.selection_set, visited)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in visited:
                    collect(fragments[name].selection_set, visited | {name})

    collect(operation.selection_set, frozenset())
    return found


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def actual_cost(data: object, mutations: int) -> float:
    """Points of what a document gave: its objects, and its mutations."""

    def objects(value: object) -> int:
        if isinstance(value, dict):
            own = 0 if value.keys() & {"nodes", "hasNextPage", "endCursor"} else 1
            return own + sum(objects(inner) for inner in value.values())
        if isinstance(value, list):
            return sum(objects(inner) for inner in value)
        return 0

    found = objects(data) - 1 if data else 0
    return max(0, found) + _MUTATION_POINTS * mutations


class LeakyBucket:
    """Points that an app may spend on a shop.

    Args:
        size: Points when full.
        restore: Points that come back in a second.
    """

    def __init__(self, clock: Clock, size: float, restore: float) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.configure(size, restore)

    def configure(self, size: float, restore: float, available: float | None = None) -> None:
        """Set the bucket; full where ``available`` is not given."""
        with self._lock:
            self.size = size
            self.restore = restore
            self._level = size if available is None else min(size, available)
            self._at = self._clock.timestamp()

    def take(self, points: float) -> bool:
        """Spend points; ``False`` if there are not enough, and nothing is spent."""
        with self._lock:
            self._refill()
            if points > self._level:
                return False
            self._level -= points
            return True

    def give_back(self, points: float) -> None:
        """Return what a document did not use."""
        with self._lock:
            self._refill()
            self._level = min(self.size, self._level + max(0.0, points))

    def status(self) -> dict[str, float]:
        """Shopify's ``throttleStatus``."""
        with self._lock:
            self._refill()
            return {
                "maximumAvailable": self.size,
                "currentlyAvailable": float(int(self._level)),
                "restoreRate": self.restore,
            }

    def _refill(self) -> None:
        now = self._clock.timestamp()
        elapsed = max(0.0, now - self._at)
        self._level = min(self.size, self._level + elapsed * self.restore)
        self._at = now
