"""One visible table: what each type of event does, with the reason on each line.

A handler writes what the event itself proves, within the transaction that also marks the event, and names what must be
fetched from Stripe afterwards. It holds no mapping: that is `mirror/resources.py`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.billing.invoices import note_failed_charge
from gateway.mirror.resources import RESOURCES, Unreadable
from gateway.mirror.sync import Outcome, store_event

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """What applying an event came to.

    Args:
        status: the event's status in the inbox: `applied`, `stale` or `ignored`.
        outcome: a word or a sentence for the operator.
        needs: what must still be fetched, as `kind:id`.
        changed: the kinds of the objects whose rows changed.
    """

    status: str
    outcome: str
    needs: tuple[str, ...] = ()
    changed: frozenset[str] = frozenset()


Handler = Callable[[AsyncConnection, Json], Awaitable[Effect]]


async def mirror(connection: AsyncConnection, event: Json) -> Effect:
    """The object as the event carries it."""
    return await _store(connection, event, deleted=False)


async def bury(connection: AsyncConnection, event: Json) -> Effect:
    """The object is gone for good."""
    return await _store(connection, event, deleted=True)


async def mirror_price(connection: AsyncConnection, event: Json) -> Effect:
    """A price or plan. Its tiers and currency options are in no event: they are fetched, unless only others changed."""
    effect = await _store(connection, event, deleted=False)
    obj = event["data"]["object"]
    changed = event["data"].get("previous_attributes")
    told = bool(changed) and set(changed) <= set(obj) and effect.outcome != Outcome.CREATED
    whole = {"tiers", "currency_options"} <= set(obj)
    if effect.status == "stale" or told or whole or effect.needs:
        return effect
    return Effect(effect.status, effect.outcome, (f"price:{obj['id']}",), effect.changed)


async def mirror_checkout(connection: AsyncConnection, event: Json) -> Effect:
    """A checkout that ended well: its state now; then, fetched, the customer, the e-mail and the card it was paid with.

    Credits and access are never given here: they wait for `invoice.paid` and the subscription's own events.
    """
    effect = await _store(connection, event, deleted=False)
    if effect.status == "stale":
        return effect
    return Effect(effect.status, effect.outcome, (f"checkout.session:{event['data']['object']['id']}",), effect.changed)


async def mirror_failed_charge(connection: AsyncConnection, event: Json) -> Effect:
    """An invoice that could not be charged: its state, and since when, which counts also when the state is stale."""
    effect = await _store(connection, event, deleted=False)
    await note_failed_charge(connection, event["data"]["object"]["id"], event["created"])
    return effect


async def mirror_entitlements(connection: AsyncConnection, event: Json) -> Effect:
    """What a customer may use. Stripe gives the summary no id of its own; it is kept under its customer's."""
    obj = event["data"]["object"]
    return await _store(connection, {**event, "data": {"object": {**obj, "id": obj.get("customer")}}}, deleted=False)


async def _store(connection: AsyncConnection, event: Json, *, deleted: bool) -> Effect:
    """Offer the event's object to the mirror."""
    obj = event["data"]["object"]
    kind = obj["object"]
    resource = RESOURCES.get(kind)
    if resource is None or not isinstance(obj.get("id"), str):
        return Effect("ignored", f"the event carries a {kind}, which its type does not promise")
    try:
        outcome = await store_event(connection, resource, obj, created=event["created"], deleted=deleted)
    except Unreadable as error:
        return Effect("applied", f"unreadable, fetched instead ({error})", (f"{kind}:{obj['id']}",))
    match outcome:
        case Outcome.STALE:
            return Effect("stale", "an equal or newer state was there")
        case Outcome.UNCLEAR:
            return Effect("applied", "same second as the known state, fetched instead", (f"{kind}:{obj['id']}",))
        case _:
            return Effect("applied", outcome, (), frozenset({kind}))


HANDLERS: dict[str, Handler] = {
    # The four of the original, each followed by its company.
    "checkout.session.completed": mirror_checkout,  # the buyer came through: payment details, nothing more
    "checkout.session.async_payment_succeeded": mirror_checkout,  # the delayed payment arrived: `paid` only now
    "checkout.session.async_payment_failed": mirror,  # the delayed payment failed: complete, and unpaid for good
    "checkout.session.expired": mirror,  # nobody came: the session is no longer open
    "invoice.paid": mirror,  # bought or renewed
    "invoice.created": mirror,  # a draft that people may see coming
    "invoice.finalized": mirror,  # it has its number, its page and its PDF now
    "invoice.updated": mirror,  # amounts and attempts
    "invoice.payment_succeeded": mirror,  # the older twin of `invoice.paid`
    "invoice.payment_failed": mirror_failed_charge,  # dunning begins: attempts, the next one, and the grace period
    "invoice.payment_action_required": mirror,  # the buyer must confirm
    "invoice.voided": mirror,  # never to be paid
    "invoice.marked_uncollectible": mirror,  # written off
    "invoice.deleted": bury,  # a draft thrown away
    "customer.subscription.updated": mirror,  # plan switch, trial to active, pause, pending cancellation
    "customer.subscription.deleted": mirror,  # it ended; `canceled` is final, and the row stays for its history
    "customer.subscription.created": mirror,  # the first state, often `incomplete`
    "customer.subscription.paused": mirror,  # a trial that ended without a card
    "customer.subscription.resumed": mirror,  # and went on
    "customer.subscription.trial_will_end": mirror,  # three days' notice
    "customer.subscription.pending_update_applied": mirror,  # a change that waited for its payment
    "customer.subscription.pending_update_expired": mirror,  # or was given up
    # Who pays, and how.
    "customer.created": mirror,  # e-mail and name
    "customer.updated": mirror,  # e-mail, name, default payment method
    "customer.deleted": bury,  # final
    "payment_method.attached": mirror,  # brand, last digits, expiry
    "payment_method.detached": mirror,  # no longer anybody's
    "payment_method.updated": mirror,  # a new expiry date
    "payment_method.automatically_updated": mirror,  # by the card network
    # What the customer may use.
    "entitlements.active_entitlement_summary.updated": mirror_entitlements,  # all features that are active now
    # The catalogue.
    "product.created": mirror,
    "product.updated": mirror,
    "product.deleted": bury,
    "price.created": mirror_price,
    "price.updated": mirror_price,
    "price.deleted": bury,
    "plan.created": mirror_price,  # the same row as the price of that id
    "plan.updated": mirror_price,
    "plan.deleted": bury,
}


async def apply(connection: AsyncConnection, event: Json) -> Effect:
    """Apply one event within the given transaction.

    Args:
        connection: the transaction; what is written is undone with it.
        event: a Stripe event that `webhooks.inbox` has recorded.
    """
    if event.get("account"):
        return Effect("ignored", "of a connected account, which this gateway does not serve")
    handler = HANDLERS.get(event["type"])
    if handler is None:
        return Effect("ignored", "no handler for this type: nothing in the mirror depends on it")
    return await handler(connection, event)
