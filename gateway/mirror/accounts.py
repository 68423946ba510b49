"""Objects of connected accounts stand in the mirror apart from our own.

Stripe's ids are unique within one account only: whoever makes a product, a plan or a coupon may choose its id. So what
belongs to a connected account is kept under ids that bear the account's name, references included: `acct_1/prod_1`.
Nothing of ours refers to such an id, and what reads whole tables for our own account reads `own(column)`.
"""

from typing import Any

import sqlalchemy as sa


def key_of(account: str | None, id: str) -> str:
    """Return the id under which the mirror keeps an object of an account; None is our own."""
    return f"{account}/{id}" if account else id


def account_of(key: str) -> tuple[str | None, str]:
    """Return the account and Stripe's id of an object that the mirror keeps under `key`."""
    account, separator, object_id = key.partition("/")
    return (account, object_id) if separator and account.startswith("acct_") else (None, key)


def own(column: sa.SQLColumnExpression[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to our own account."""
    return ~sa.and_(column.startswith("acct_", autoescape=True), column.contains("/"))


def set_apart(account: str, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of an object of a connected account, every reference under the account's name."""
    apart = {name: _apart(account, name, value) for name, value in columns.items()}
    if "_items" in columns:
        apart["_items"] = [set_apart(account, item) for item in columns["_items"]]
    return apart


def _apart(account: str, name: str, value: Any) -> Any:
    return key_of(account, value) if value is not None and (name == "id" or name.endswith("_id")) else value
