"""Which calls of the SDK the offline Stripe does not answer: the table in docs/offline-stripe.md.

`python tests/sandbox/missing_calls.py` writes it anew.
"""

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import stripe

from gateway.sandbox import create_sandbox
from gateway.sandbox.api.routing import match

DOC = Path(__file__).parents[2] / "docs" / "offline-stripe.md"
BEGIN, END = "<!-- missing calls: written by tests/sandbox/missing_calls.py -->\n", "<!-- end of missing calls -->\n"
_REQUEST = re.compile(r'self\._request(?:_stream)?\(\s*"(\w+)",\s*"(/v[12]/[^"]*)"')


def calls() -> set[tuple[str, str]]:
    """Return method and path of every call of the SDK's services, of v1 and v2."""
    client = stripe.StripeClient("sk_test_x")
    return {*_calls(client.v1, set()), *_calls(client.v2, set())}


def _calls(service: object, seen: set[type]) -> Iterator[tuple[str, str]]:
    kind = type(service)
    if kind in seen:
        return
    seen.add(kind)
    for name, function in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") and not name.endswith("_async"):
            yield from ((method.upper(), path) for method, path in _REQUEST.findall(inspect.getsource(function)))
    for name, annotation in vars(kind).get("__annotations__", {}).items():
        if "Service" in str(annotation):
            yield from _calls(getattr(service, name), seen)


def table() -> str:
    """Return the table: a row for each area, which lists its missing calls, or says that it has no other."""
    create_sandbox()  # which registers the routes
    known = calls()
    size = Counter(_area(path) for _, path in known)
    missing = defaultdict(list)
    for method, path in sorted(known, key=lambda call: (call[1], call[0])):
        if match(method, re.sub(r"\{\w+\}", "x", path)) is None:
            missing[_area(path)].append(f"`{method} {_rest(path)}`")
    rows = [
        f"| `{area}` | {'all' if len(found) == size[area] else ', '.join(found)} |"
        for area, found in sorted(missing.items())
    ]
    answered = len(known) - sum(map(len, missing.values()))
    head = f"Of {len(known)} calls of stripe-python {stripe.VERSION}, {answered} are answered. These answer 404:\n\n"
    return head + "\n".join(["| below | calls |", "|---|---|", *rows]) + "\n"


def _area(path: str) -> str:
    return "/".join(path.split("/")[:3])


def _rest(path: str) -> str:
    rest = "/".join(path.split("/")[3:])
    return f"…/{re.sub(r'{[a-z_]+}', '{id}', rest)}" if rest else "…"


def written() -> str:
    """Return the table as the document has it."""
    return DOC.read_text().partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    before, _, rest = DOC.read_text().partition(BEGIN)
    DOC.write_text(before + BEGIN + table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
