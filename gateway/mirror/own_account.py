"""Which account at Stripe the database is a copy of: two accounts in one database could not be told apart again.

The first account that is looked at is kept. Test and live mode of one account have the same id, and are two copies.
A restricted key may not read its account: then it must know one of the newest objects that the database has.
Sources: https://docs.stripe.com/api/accounts/retrieve (`GET /v1/account` is that of the key), and
https://docs.stripe.com/api/errors (an object of another account or mode is 404, what a key may not read is 403).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import sqlalchemy as sa
import structlog

from gateway.db.database import Database
from gateway.db.tables import insert, table_for
from gateway.errors import SettingsError, StripeFailure, StripeMissing, StripeUnavailable
from gateway.mirror.accounts import own
from gateway.mirror.reader import Reader
from gateway.models.infra import StripeAccount
from gateway.models.mirrored import Customer, Product
from gateway.stripe_api.client import Stripe

log = structlog.get_logger()
ACCOUNT = table_for(StripeAccount)
PROOFS: Final = {"/v1/customers": table_for(Customer), "/v1/products": table_for(Product)}
"""What a restricted key is asked for. Stripe answers for a deleted customer too."""
ASKED: Final = 3

LOOK_AFTER_SECONDS = 5.0
"""Until a server that has started looks: its start does not wait for Stripe."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Which account a key is of, and which one the database has.

    Args:
        key: the key's account and mode; None where the key may not read its account.
        copy: the database's; None where it has no account yet.
        known: an object of the database that the key's account has, where that was asked.
        strange: those that it does not have, where it has none that it was asked for.
    """

    key: str | None
    copy: str | None
    known: str | None = None
    strange: tuple[str, ...] = ()

    @property
    def fault(self) -> str | None:
        """Why the key is not of the account that is mirrored here; None where it is, or where that is unknown."""
        if self.strange:
            return f"Stripe has none of {', '.join(self.strange)} of this database in the account of STRIPE_SECRET_KEY"
        if self.key is None or self.copy in {None, self.key}:
            return None
        return f"this database is a copy of {self.copy}, and STRIPE_SECRET_KEY is of {self.key}"


FIX = "give each account and each mode a database of its own (DATABASE_URL), or use that account's key"


async def whose(database: Database, stripe: Stripe) -> Whose:
    """Ask Stripe whose the key is, and the database whose copy it is.

    Raises:
        StripeUnavailable: Stripe cannot be reached.
    """
    copy = await database.read(_stored_copy)
    account_id = await _account_of_key(stripe)
    if account_id is None:
        return await _by_objects(database, stripe, copy)
    return Whose(_words(account_id, livemode=stripe.livemode), copy)


async def require_same_account(database: Database, stripe: Reader) -> None:
    """Keep whose copy the database is, where that is not known yet; otherwise compare.

    Of a key that may not read its account nothing is kept; it passes where Stripe has one of the newest customers, or
    else products, of the database by it, or it may read neither.

    Raises:
        SettingsError: the database is the copy of another account, or of the other mode.
        StripeUnavailable: Stripe cannot be reached.
    """
    account_id = await _account_of_key(stripe)
    if account_id is None:
        if fault := (await _by_objects(database, stripe, None)).fault:
            raise SettingsError(f"{fault}: {FIX}")
        return
    livemode = stripe.stripe.livemode
    values = {"only": 1, "id": account_id, "livemode": livemode, "seen_at": datetime.now(UTC)}

    def keep(connection: sa.Connection) -> str | None:
        connection.execute(insert(connection, ACCOUNT).values(**values).on_conflict_do_nothing())
        return _stored_copy(connection)

    found = Whose(_words(account_id, livemode=livemode), await database.transaction(keep))
    if found.fault:
        raise SettingsError(f"{found.fault}: {FIX}")


async def tell_of_other_account(database: Database, stripe: Stripe) -> None:
    """Say once in the log, shortly after a start, that the key is of another account than the database."""
    await asyncio.sleep(LOOK_AFTER_SECONDS)
    if fault := (await whose(database, stripe)).fault:
        log.error("another_stripe_account", problem=fault, action=FIX)


def _stored_copy(connection: sa.Connection) -> str | None:
    """Return whose copy the database is; None where that is not known yet."""
    stored = connection.execute(sa.select(ACCOUNT.c.id, ACCOUNT.c.livemode)).first()
    return None if stored is None else _words(stored.id, livemode=stored.livemode)


async def _by_objects(database: Database, stripe: Stripe | Reader, copy: str | None) -> Whose:
    """Return whether the key's account has what the database has.

    Raises:
        StripeUnavailable: Stripe cannot be reached.
    """
    for path, table in PROOFS.items():
        strange: list[str] = []
        for each in await database.read(partial(_newest, table=table)):
            try:
                await stripe.get(f"{path}/{each}")
            except StripeMissing:
                strange.append(each)
            except StripeUnavailable:
                raise
            except StripeFailure:  # it may not read these
                break
            else:
                return Whose(None, copy, known=each)
        if strange:
            return Whose(None, copy, strange=tuple(strange))
    return Whose(None, copy)


def _newest(connection: sa.Connection, table: sa.Table) -> Sequence[str]:
    """Return the newest objects of our own account."""
    query = sa.select(table.c.id).where(own(table.c.id), table.c.deleted.is_(False))
    return connection.execute(query.order_by(table.c.created.desc()).limit(ASKED)).scalars().all()


async def _account_of_key(stripe: Stripe | Reader) -> str | None:
    """Return the id of the key's account; None where a restricted key may not read it."""
    try:
        found: str = (await stripe.get("/v1/account")).object["id"]
    except StripeUnavailable:
        raise
    except StripeFailure:
        return None
    return found


def _words(account_id: str, *, livemode: bool) -> str:
    return f"{account_id} in {'live' if livemode else 'test'} mode"
