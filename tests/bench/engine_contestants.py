"""What the GraphQL engine is measured against: ready bytes, and the account page as SQL and JSON written by hand."""

import asyncio
import base64
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import orjson
import psycopg
from psycopg.types.json import set_json_loads
from starlette.types import Receive, Scope, Send

Read = Callable[[str, str], Awaitable[list[Any]]]

SUBSCRIPTIONS = """SELECT s.id, s.status, s.cancel_at_period_end, s.cancel_at, s.ended_at, i.current_period_end,
  p.id, p.unit_amount, p.currency, o.name, o.meta
  FROM subscription s JOIN subscription_item i ON i.subscription_id = s.id
  JOIN price p ON p.id = i.price_id JOIN product o ON o.id = i.product_id
  WHERE s.customer_id = %s AND NOT s.deleted ORDER BY s.created DESC, s.id DESC"""
INVOICES = """SELECT id, number, status, total, currency, created, lines FROM invoice
  WHERE customer_id = %s AND NOT deleted AND status IS NOT NULL AND status <> 'draft'
  ORDER BY created DESC, id DESC LIMIT 21"""


async def _body(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass


async def _answer(send: Send, body: bytes) -> None:
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def ready() -> Any:
    """For uvicorn's `--factory`: the bytes of the file `READY_BYTES`, whatever is asked."""
    body = Path(os.environ["READY_BYTES"]).read_bytes()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _body(receive)
            await _answer(send, body)

    return app


class ByHand:
    """The account page: who asks is proved, four statements, one answer."""

    def __init__(self) -> None:
        url = os.environ["DATABASE_URL"]
        self._secret = os.environ["AUTH_HS256_SECRET"]
        self._reader = _sqlite(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else _postgres(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await _body(receive)
        header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if header is None:
            await _answer(send, b"{}")
            return
        subject = jwt.decode(header[7:], self._secret, ["HS256"], options={"require": ["exp", "sub"]})["sub"]
        async with self._reader() as read:
            (customer,) = await read("SELECT id FROM customer WHERE external_id = %s AND NOT deleted", subject)
            subscriptions = await read(SUBSCRIPTIONS, customer[0])
            invoices = await read(INVOICES, customer[0])
            features = await read("SELECT features FROM entitlement_summary WHERE id = %s AND NOT deleted", customer[0])
        await _answer(send, orjson.dumps({"data": {"viewer": _viewer(subject, subscriptions, invoices, features)}}))


def _viewer(subject: str, subscriptions: list[Any], invoices: list[Any], features: list[Any]) -> dict[str, Any]:
    current = subscriptions[0]
    named = "sso" in _json(current[10]).get("features", "").split(",") or "sso" in _json(features[0][0])
    page = invoices[:20]
    return {
        "id": subject,
        "subscription": {
            "id": current[0],
            "status": current[1].upper(),
            "currentPeriodEnd": _moment(current[5]),
            "willCancel": current[4] is None and bool(current[2] or current[3]),
            "plan": {"id": current[6], "amount": _money(current[7], current[8]), "product": {"name": current[9]}},
        },
        "invoices": {
            "nodes": [
                {
                    "id": each[0],
                    "number": each[1],
                    "status": each[2].upper(),
                    "total": _money(each[3], each[4]),
                    "createdAt": _moment(each[5]),
                    "lines": [
                        {"description": line["description"], "amount": _money(line["amount"], each[4])}
                        for line in _json(each[6])
                    ],
                }
                for each in page
            ],
            "pageInfo": {
                "hasNextPage": len(invoices) > len(page),
                "endCursor": base64.urlsafe_b64encode(
                    f"{int(_time(page[-1][5]).timestamp())} {page[-1][0]}".encode()
                ).decode(),
            },
        },
        "access": {
            "allowed": named,
            "reason": "ACTIVE" if named else "NOT_INCLUDED",
            "until": _moment(current[5]) if named else None,
        },
    }


def _money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency.upper(), "decimal": f"{Decimal(amount).scaleb(-2):f}"}


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value.astimezone(UTC)


def _moment(value: Any) -> str:
    return _time(value).isoformat().replace("+00:00", "Z")


def _sqlite(path: str) -> Any:
    connection = sqlite3.connect(path, isolation_level=None)

    @asynccontextmanager
    async def reader() -> Any:
        async def read(statement: str, value: str) -> list[Any]:
            return connection.execute(statement.replace("%s", "?"), (value,)).fetchall()

        yield read

    return reader


def _postgres(url: str) -> Any:
    set_json_loads(orjson.loads)
    idle: list[psycopg.AsyncConnection[Any]] = []
    turn = asyncio.Semaphore(20)

    @asynccontextmanager
    async def reader() -> Any:
        async with turn:
            connection = idle.pop() if idle else await psycopg.AsyncConnection.connect(url, autocommit=True)

            async def read(statement: str, value: str) -> list[Any]:
                return await (await connection.execute(statement, (value,), prepare=True)).fetchall()

            yield read
            idle.append(connection)

    return reader


def by_hand() -> ByHand:
    """For uvicorn's `--factory`."""
    return ByHand()
