"""How often each operation runs, how it ends and how long it takes.

The labels come from a bounded set, because whoever may call decides what is in a document: a name counts only in a
document that the operator trusts, and the field at its root is one of the schema's.
"""

from functools import cache
from time import perf_counter
from typing import Any

from graphql import FieldNode, OperationDefinitionNode

from gateway.errors import DatabaseUnavailable, GatewayError, StripeFailure, StripeUnavailable
from gateway.graphql.execution.documents import Prepared
from gateway.observability.metrics import GRAPHQL, GRAPHQL_SECONDS

OTHER, SEVERAL, NONE = "other", "several", "none"
_operations, _seconds = cache(GRAPHQL.labels), cache(GRAPHQL_SECONDS.labels)  # to find them costs more than to count
FAILURES = {each.code for each in (GatewayError, DatabaseUnavailable, StripeFailure, StripeUnavailable)}
"""The codes of errors that no client can fix."""


def count(prepared: Prepared, operation_name: str | None, errors: list[dict[str, Any]], started: float) -> None:
    """Count an operation that has ended.

    Args:
        prepared: its document.
        operation_name: which of its operations.
        errors: what the client is told.
        started: when it began, on the clock of `perf_counter`.
    """
    labels = labels_of(prepared, operation_name)
    _operations(*labels, _outcome(errors)).inc()
    _seconds(*labels).observe(perf_counter() - started)


def labels_of(prepared: Prepared, operation_name: str | None) -> tuple[str, str]:
    """Return what an operation is counted under: its name, and the field that it asks for.

    Both are of few: `other` is every name in a document that nobody has vouched for, `several` is more than one field,
    `none` is what cannot be run.
    """
    operation = prepared.operation(operation_name)
    if operation is None:
        return OTHER, NONE
    named = operation.name.value if prepared.trusted and operation.name else OTHER
    return named, _field(operation)


def _field(operation: OperationDefinitionNode) -> str:
    first, *others = operation.selection_set.selections
    return first.name.value if isinstance(first, FieldNode) and not others else SEVERAL


def _outcome(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return "ok"
    codes = {(error.get("extensions") or {}).get("code") for error in errors}
    return "failed" if codes & FAILURES else "refused"
