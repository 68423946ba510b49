"""What a file would change at Stripe, and for whom: pure.

A price at Stripe never changes what it costs (https://docs.stripe.com/api/prices/update), so a changed amount is a new
price: it takes the lookup key over, and the old one is archived. Who has the old one keeps it. The new price says in
its metadata which one it replaces: from that a push that was killed between the two is finished by the next.

What the file does not name stays as it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import orjson

from gateway.billing.pricing.at_stripe import AtStripe, price_of, product_of
from gateway.billing.pricing.catalogue import REPLACES, Catalogue, Meter, Money, Price, Product
from gateway.mirror.mapping import Json, id_of

COSTS = ("currency", "amount", "tiers", "tiers_mode", "custom_amount", "interval", "interval_count", "trial_days")
FIXED = (*COSTS, "meter", "package")
"""What a price has for good."""
PLAIN = ("name", "description", "active", "unit_label", "url", "tax_code", "statement_descriptor")


class Ref(NamedTuple):
    """Something that may be made by an earlier step: its kind, and the name that the file has for it."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One call to Stripe.

    Attributes:
        text: what it does.
        path: of the call, in parts.
        params: its parameters, in which references stand too.
        makes: what its answer's id is the id of.
        method: `post` or `delete`.
        once: whether nothing but an idempotency key keeps Stripe from doing it twice: a new price.
        bought: the price or product whose subscriptions are counted for people, as its kind and id.
        consequence: what becomes of who has those, in words.
        product: the product whose features it changes, of which no event tells.
    """

    text: str
    path: tuple[str | Ref, ...]
    params: Json = field(default_factory=dict)
    makes: Ref | None = None
    method: str = "post"
    once: bool = False
    bought: tuple[str, str] | None = None
    consequence: str = ""
    product: str | None = None


class Unchangeable(Exception):
    """The file asks for what Stripe never changes, and no new object can stand in for."""


def changes(file: Catalogue, stripe: AtStripe) -> list[Step]:
    """Return the steps that make Stripe what the file says, in an order in which they can be killed anywhere.

    Raises:
        Unchangeable: a meter would have to count in another way.
    """
    after: list[Step] = []
    steps = [*_meters(file.meters, stripe), *_features(file.features, stripe)]
    for product_id, product in file.products.items():
        steps += _product(product_id, product, stripe)
    new: dict[str, Ref] = {}
    for product_id, product in file.products.items():
        for key, price in product.prices.items():
            old = stripe.by_key().get(key)
            wanted = _taxed_as(old, price) if old else price
            if old is None or _costs_other(product_id, wanted, old, stripe):
                steps.append(_new_price(product_id, key, wanted, old))
                new |= {old["id"]: Ref("price", key)} if old else {}
            else:
                during, later = _same_price(key, wanted, old)
                steps += during
                after += later
    steps += _defaults(file, stripe, new)
    return steps + after + list(_archived(file, stripe, new))


def _meters(meters: Mapping[str, Meter], stripe: AtStripe) -> Iterator[Step]:
    for name, meter in meters.items():
        known = stripe.meters.get(name)
        if known is None:
            params = {
                "event_name": name,
                "display_name": meter.name,
                "default_aggregation": {"formula": meter.aggregation},
            }
            yield Step(f"+ meter {name}", ("/v1/billing/meters",), params, Ref("meter", name))
            continue
        formula = known["default_aggregation"]["formula"]
        if formula != meter.aggregation:
            raise Unchangeable(f"meter {name} counts by {formula} for good: name another event for {meter.aggregation}")
        if known["display_name"] != meter.name:
            text = _differs(f"~ meter {name}: name", known["display_name"], meter.name)
            yield Step(text, ("/v1/billing/meters/", known["id"]), {"display_name": meter.name})


def _features(features: Mapping[str, str], stripe: AtStripe) -> Iterator[Step]:
    for key, name in features.items():
        known = stripe.features.get(key)
        if known is None:
            params = {"lookup_key": key, "name": name}
            yield Step(f"+ feature {key}", ("/v1/entitlements/features",), params, Ref("feature", key))
        elif known["name"] != name:
            text = _differs(f"~ feature {key}: name", known["name"], name)
            yield Step(text, ("/v1/entitlements/features/", known["id"]), {"name": name})


def _product(product_id: str, product: Product, stripe: AtStripe) -> Iterator[Step]:
    known = stripe.products.get(product_id)
    now = Product.model_validate(product_of(stripe, known)) if known else None
    params: Json = {
        name: _unset(getattr(product, name))
        for name in PLAIN
        if getattr(product, name) != getattr(now or Product(name=product.name), name)
    }
    for name in ("images", "marketing_features"):
        wanted = getattr(product, name)
        if wanted != (getattr(now, name) if now else []):
            listed = [{"name": each} for each in wanted] if name == "marketing_features" else wanted
            params[name] = listed or ""
    if metadata := _metadata(product.all_metadata(), known):
        params["metadata"] = metadata
    bought = ("product", product_id)
    if known is None:
        params |= {"id": product_id, "name": product.name}
        yield Step(f"+ product {product_id} ({product.name})", ("/v1/products",), params)
    elif params:
        text = f"~ product {product_id} ({known['name']}): {_fields(params, known)}"
        yield Step(text, ("/v1/products/", product_id), params, bought=bought, consequence="who has it")
    bonds = stripe.bonds.get(product_id, {})
    path = f"/v1/products/{product_id}/features"
    step = partial(Step, bought=bought, product=product_id)
    for key in product.features:
        if key not in bonds:
            feature = {"entitlement_feature": Ref("feature", key)}
            yield step(f"+ feature {key} of product {product_id}", (path,), feature, consequence="who gets it")
    for key in sorted(bonds.keys() - {*product.features}):
        its = (path, "/", bonds[key])
        yield step(f"- feature {key} of product {product_id}", its, method="delete", consequence="who loses it")


def _taxed_as(old: Json, price: Price) -> Price:
    """Return a price with the taxes that Stripe has, where the file leaves them out."""
    options = old["currency_options"] or {}
    currencies = {
        name: option.model_copy(update={"tax": option.tax or _tax(options.get(name, {}))})
        for name, option in price.currencies.items()
    }
    return price.model_copy(update={"tax": price.tax or _tax(old), "currencies": currencies})


def _tax(obj: Json) -> str | None:
    behavior: str | None = obj.get("tax_behavior")
    return None if behavior == "unspecified" else behavior


def _costs_other(product_id: str, price: Price, old: Json, stripe: AtStripe) -> bool:
    """Return whether a price must be a new one. A currency that it did not have can be added to it."""
    if id_of(old["product"]) != product_id:
        return True
    now = price_of(stripe, old)
    if "usage" in now:
        return True
    was = Price.model_validate(now)
    if any(getattr(price, name) != getattr(was, name) for name in FIXED):
        return True
    if was.tax not in {None, price.tax}:
        return True
    return any(price.currencies.get(key) != option for key, option in was.currencies.items())


def _new_price(product_id: str, key: str, price: Price, old: Json | None) -> Step:
    recurring = {
        "interval": price.interval,
        "interval_count": price.interval_count,
        "trial_period_days": price.trial_days,
        **({"usage_type": "metered", "meter": Ref("meter", price.meter)} if price.meter else {}),
    }
    package = {"divide_by": price.package.size, "round": price.package.round} if price.package else None
    params = {
        "product": product_id,
        "lookup_key": key,
        "currency": price.currency,
        **_money(price),
        "tiers_mode": price.tiers_mode,
        "recurring": _said(recurring) if price.interval else None,
        "transform_quantity": package,
        "currency_options": {name: _money(option) for name, option in price.currencies.items()} or None,
        "nickname": price.nickname,
        "active": None if price.active else False,
        "metadata": price.all_metadata() | ({REPLACES: old["id"]} if old else {}),
        "transfer_lookup_key": True if old else None,
    }
    params = _said(params)
    made = Ref("price", key)
    if old is None:
        return Step(f"+ price {key}: {cost(price)}", ("/v1/prices",), params, made, once=True)
    text, keeps = f"~ price {key}: {cost(price)}, as a new price", f"who keeps {old['id']}"
    return Step(text, ("/v1/prices",), params, made, once=True, bought=("price", old["id"]), consequence=keeps)


def _same_price(key: str, price: Price, old: Json) -> tuple[list[Step], list[Step]]:
    """Return what changes of a price that costs the same: at once, and once no product has it as its default."""
    params: Json = {}
    if (old["nickname"] or None) != price.nickname:
        params["nickname"] = _unset(price.nickname)
    if price.tax and old.get("tax_behavior") in {None, "unspecified"}:
        params["tax_behavior"] = price.tax
    added = {
        name: _money(option) for name, option in price.currencies.items() if name not in (old["currency_options"] or {})
    }
    if added:
        params["currency_options"] = added
    if metadata := _metadata(price.all_metadata(), old):
        params["metadata"] = metadata
    path, bought = ("/v1/prices/", old["id"]), ("price", old["id"])
    steps = []
    if params or (price.active and not old["active"]):
        opened = {"active": True} if price.active and not old["active"] else {}
        text = f"~ price {key}: {_fields(params | opened, old)}"
        steps.append(Step(text, path, params | opened, bought=bought, consequence="who has it, and pays as before"))
    if not price.active and old["active"]:
        closed = Step(f"- price {key} is archived", path, {"active": False}, bought=bought, consequence="who keeps it")
        return steps, [closed]
    return steps, []


def _defaults(file: Catalogue, stripe: AtStripe, new: Mapping[str, Ref]) -> Iterator[Step]:
    """Yield the products' new default prices: the file's, or what replaces the present one."""
    keys = stripe.by_key()
    for product_id, product in file.products.items():
        present = id_of(stripe.products.get(product_id, {}).get("default_price"))
        last = _last(present, stripe)
        wanted: str | Ref | None = new.get(last or "") or last
        if isinstance(wanted, Ref) and wanted.name not in product.prices and not product.default_price:
            raise Unchangeable(f"price {wanted.name} is the default of {product_id}: name another default_price")
        if product.default_price:
            known = keys.get(product.default_price)
            wanted = known["id"] if known and known["id"] not in new else Ref("price", product.default_price)
        if wanted is not None and wanted != present:
            name = product.default_price or (wanted.name if isinstance(wanted, Ref) else wanted)
            text = f"~ product {product_id}: its default price is {name}"
            yield Step(text, ("/v1/products/", product_id), {"default_price": wanted})


def _last(price_id: str | None, stripe: AtStripe) -> str | None:
    """Return what stands in for a price by now, within its product."""
    successors, seen = stripe.replaced(), set[str]()
    while price_id in successors and price_id not in seen:
        after = successors[price_id]
        if id_of(stripe.prices[after]["product"]) != id_of(stripe.prices[price_id]["product"]):
            break
        seen.add(price_id)
        price_id = after
    return price_id


def _archived(file: Catalogue, stripe: AtStripe, new: Iterable[str]) -> Iterator[Step]:
    """Yield the ends of prices that others replace, now or in a push that was killed."""
    named = {key for product in file.products.values() for key in product.prices}
    files = set(file.products)
    for old in dict.fromkeys([*stripe.replaced(), *new]):
        price = stripe.prices[old]
        is_named = price["lookup_key"] in named and old not in new
        if price["active"] and not is_named and (old in new or id_of(price["product"]) in files):
            yield Step(f"- price {old} is archived: another one replaces it", ("/v1/prices/", old), {"active": False})


def cost(price: Price) -> str:
    """Return what a price costs, in words."""
    every = "" if price.interval is None else f" a {price.interval}"
    if price.interval_count != 1:
        every = f" every {price.interval_count} {price.interval}s"
    if price.tiers:
        of = f"{len(price.tiers)} {price.tiers_mode} tiers"
    elif price.custom_amount:
        of = "what the buyer chooses"
    else:
        of = str(price.amount)
    return f"{of} {price.currency}{every}"


def _money(price: Money) -> Json:
    tiers = [
        _said({"up_to": tier.up_to} | _amount("unit_amount", tier.amount) | _amount("flat_amount", tier.flat))
        for tier in price.tiers
    ]
    custom = price.custom_amount and {"enabled": True, **_said(price.custom_amount.model_dump())}
    whole: Json = {"tiers": tiers or None, "custom_unit_amount": custom, "tax_behavior": price.tax}
    if tiers and isinstance(price, Price):
        whole["billing_scheme"] = "tiered"
    return _said(_amount("unit_amount", price.amount) | whole)


def _amount(name: str, value: int | str | None) -> Json:
    return {name: value} if isinstance(value, int) else {f"{name}_decimal": value}


def _said(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _unset(value: Any) -> Any:
    """Return what Stripe takes for nothing: an empty text."""
    return "" if value is None else value


def _metadata(wanted: Mapping[str, str], known: Json | None) -> Json:
    """Return the metadata to send: what differs, and what goes, as an empty text."""
    present = {name: value for name, value in (known or {}).get("metadata", {}).items() if name != REPLACES}
    gone = dict.fromkeys(present.keys() - wanted.keys(), "")
    return {name: value for name, value in wanted.items() if present.get(name) != value} | gone


def _fields(params: Json, known: Json) -> str:
    """Return in words what changes."""
    words = []
    for name, value in params.items():
        if name == "metadata":
            words += [_differs(each, known["metadata"].get(each), new or None) for each, new in value.items()]
        elif name == "currency_options":
            words.append(f"also in {', '.join(value)}")
        elif isinstance(value, str | int):
            words.append(_differs(name, known.get(name), value or (value if value is False else None)))
        else:
            words.append(name)
    return "; ".join(words)


def _differs(name: str, old: Any, new: Any) -> str:
    one, other = (orjson.dumps(each).decode() for each in (old, new))
    return f"{name} {one} → {other}"
