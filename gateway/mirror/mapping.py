"""Map a Stripe object to the columns of its row: pure functions, one for each kind.

They read both families of payloads, before and after API version 2025-03-31 (basil). A mapping names only the columns
that the payload can speak for: what is absent (`price.tiers` unless expanded) stays as it is. What Stripe bills,
collects and gives back is in `invoice_mapping.py`.
"""

from typing import Any

from gateway.models.columns import utc

Json = dict[str, Any]
"""A JSON object as Stripe sends it."""


def id_of(value: Any) -> str | None:
    """Return the id of a reference, expanded or not."""
    found: str | None = value["id"] if isinstance(value, dict) else value
    return found


def email_key(address: str) -> str:
    """Return an e-mail address as addresses are compared: in any case, and as it is written otherwise.

    What lower case alone would make ASCII (the Kelvin sign is a `k` then) stays what it is: somebody else's mailbox.
    """
    lower = address.lower()
    return lower if address.isascii() or not lower.isascii() else address


def product(obj: Json) -> Json:
    """Return the columns of a `product`. `marketing_features` was called `features` before 2024-04.

    What it has by Stripe's entitlements stands in a list of its own, which is there only when it was read as well.
    """
    features = obj.get("marketing_features", obj.get("features")) or []
    columns = {
        "name": obj["name"],
        "description": obj["description"],
        "active": obj["active"],
        "images": obj["images"],
        "features": [feature["name"] for feature in features if feature.get("name")],
        "unit_label": obj.get("unit_label"),
        "url": obj.get("url"),
        "default_price_id": id_of(obj.get("default_price")),
        "meta": obj["metadata"],
        "created": utc(obj["created"]),
        "updated": utc(obj["updated"]),
    }
    if "entitlement_features" in obj:
        bonds = obj["entitlement_features"]["data"]
        names = {bond["entitlement_feature"]["lookup_key"]: bond["entitlement_feature"]["name"] for bond in bonds}
        columns["entitlements"] = sorted(names)
        columns["entitlement_names"] = names
    return columns


def price(obj: Json) -> Json:
    """Return the columns of a `price`. Tiers and currency options come only when they were expanded."""
    recurring = obj.get("recurring") or {}
    columns = {
        "product_id": id_of(obj["product"]),
        "nickname": obj["nickname"],
        "lookup_key": obj.get("lookup_key"),
        "active": obj["active"],
        "currency": obj["currency"],
        "unit_amount": obj["unit_amount"],
        "unit_amount_decimal": obj.get("unit_amount_decimal"),
        "billing_scheme": obj["billing_scheme"],
        "tiers_mode": obj.get("tiers_mode"),
        "tax_behavior": obj.get("tax_behavior"),
        "transform_quantity": obj.get("transform_quantity"),
        "custom_unit_amount": obj.get("custom_unit_amount") is not None,
        "custom_amount_limits": obj.get("custom_unit_amount"),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "usage_type": recurring.get("usage_type"),
        "meter": recurring.get("meter"),
        "trial_period_days": recurring.get("trial_period_days"),
        "meta": obj["metadata"],
        "created": utc(obj["created"]),
    }
    if "tiers" in obj:
        columns["tiers"] = obj["tiers"] or []
    if "currency_options" in obj:
        columns["currency_options"] = obj["currency_options"] or {}
    return columns


def plan(obj: Json) -> Json:
    """Return the columns of a `plan`: Stripe's older word for a recurring price, under the same id."""
    columns = {
        "product_id": id_of(obj["product"]),
        "nickname": obj["nickname"],
        "active": obj["active"],
        "currency": obj["currency"],
        "unit_amount": obj["amount"],
        "unit_amount_decimal": obj.get("amount_decimal"),
        "billing_scheme": obj["billing_scheme"],
        "tiers_mode": obj.get("tiers_mode"),
        "transform_quantity": obj.get("transform_usage"),
        "interval": obj["interval"],
        "interval_count": obj["interval_count"],
        "usage_type": obj["usage_type"],
        "meter": obj.get("meter"),
        "trial_period_days": obj.get("trial_period_days"),
        "meta": obj["metadata"],
        "created": utc(obj["created"]),
    }
    if "tiers" in obj:
        columns["tiers"] = obj["tiers"] or []
    return columns


def customer(obj: Json) -> Json:
    """Return the columns of a `customer`; `external_id` is not among them: see `billing/customers/owners.py`."""
    return {
        "email": obj["email"],
        "email_lower": email_key(obj["email"]) if obj["email"] else None,
        "name": obj.get("name"),
        "currency": obj.get("currency"),
        "default_payment_method_id": id_of((obj.get("invoice_settings") or {}).get("default_payment_method")),
        "delinquent": bool(obj.get("delinquent")),
        "meta": obj["metadata"],
        "created": utc(obj["created"]),
    }


def payment_method(obj: Json) -> Json:
    """Return the columns of a `payment_method`; not only cards have a brand and last digits (SEPA, US bank)."""
    detail = obj.get(obj["type"]) or {}
    return {
        "customer_id": id_of(obj["customer"]),
        "type": obj["type"],
        "brand": detail.get("display_brand") or detail.get("brand") or detail.get("bank_name"),
        "last4": detail.get("last4"),
        "exp_month": detail.get("exp_month"),
        "exp_year": detail.get("exp_year"),
        "created": utc(obj["created"]),
    }


UI_MODES = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements", None: "hosted_page"}
"""Names of `ui_mode` before dahlia (2026-03)."""


def checkout_session(obj: Json) -> Json:
    """Return the columns of a `checkout.session`. Line items come only when they were expanded."""
    details = obj.get("customer_details") or {}
    columns = {
        "customer_id": id_of(obj["customer"]),
        "customer_email": details.get("email") or obj.get("customer_email"),
        "mode": obj["mode"],
        "ui_mode": UI_MODES.get(obj.get("ui_mode"), obj.get("ui_mode")),
        "status": obj["status"],
        "payment_status": obj["payment_status"],
        "url": obj.get("url"),
        "client_secret": obj.get("client_secret"),
        "currency": obj.get("currency"),
        "amount_subtotal": obj.get("amount_subtotal"),
        "amount_total": obj.get("amount_total"),
        "subscription_id": id_of(obj.get("subscription")),
        "client_reference_id": obj.get("client_reference_id"),
        "payment_link": id_of(obj.get("payment_link")),
        "payment_intent_id": id_of(obj.get("payment_intent")),
        "invoice_id": id_of(obj.get("invoice")),
        "meta": obj.get("metadata") or {},
        "created": utc(obj["created"]),
        "expires_at": utc(obj["expires_at"]),
    }
    if "line_items" in obj:
        columns["line_items"] = obj["line_items"]["data"]
    given = (id_of(each.get("coupon")) for each in obj.get("discounts") or ())
    columns["coupons"] = [each for each in given if each]
    columns["amount_discount"] = (obj.get("total_details") or {}).get("amount_discount")
    return columns


def subscription(obj: Json) -> Json:
    """Return the columns of a `subscription`; its items are `subscription_items`."""
    pause = obj.get("pause_collection") or {}
    return {
        "customer_id": id_of(obj["customer"]),
        "status": obj["status"],
        "currency": obj.get("currency") or obj["items"]["data"][0]["plan"]["currency"],  # it came in 2022
        "cancel_at_period_end": obj["cancel_at_period_end"],
        "cancel_at": utc(obj["cancel_at"]),
        "canceled_at": utc(obj["canceled_at"]),
        "ended_at": utc(obj["ended_at"]),
        "trial_start": utc(obj["trial_start"]),
        "trial_end": utc(obj["trial_end"]),
        "pause_behavior": pause.get("behavior"),
        "pause_resumes_at": utc(pause.get("resumes_at")),
        "default_payment_method_id": id_of(obj.get("default_payment_method")),
        "latest_invoice_id": id_of(obj.get("latest_invoice")),
        "discounts": [id_of(each) for each in _discounts(obj)],
        "pending_update": pending_update(obj),
        "meta": obj["metadata"],
        "created": utc(obj["created"]),
        "start_date": utc(obj["start_date"]),
    }


def _discounts(obj: Json) -> list[Any]:
    """Return the discounts of a subscription; older versions have one, under another name."""
    listed: list[Any] = obj.get("discounts") or ([obj["discount"]] if obj.get("discount") else [])
    return listed


def pending_update(obj: Json) -> Json | None:
    """Return the change of a subscription that waits for its payment (Stripe, "Pending updates")."""
    update = obj.get("pending_update")
    if not update:
        return None
    items = update.get("subscription_items") or obj["items"]["data"]
    pairs = [[id_of(item.get("price") or item["plan"]), item.get("quantity")] for item in items]
    return {"expires": update["expires_at"], "items": pairs}


def subscription_items(obj: Json) -> list[Json]:
    """Return the rows of a subscription's items.

    The period stands on the item since basil, on the subscription before; a price was called a plan before 2020, under
    the same id.
    """
    rows = []
    for position, item in enumerate(obj["items"]["data"]):
        bought = item.get("price") or item["plan"]
        rows.append(
            {
                "id": item["id"],
                "subscription_id": obj["id"],
                "price_id": bought["id"],
                "product_id": id_of(bought["product"]),
                "quantity": item.get("quantity"),
                "current_period_start": utc(item.get("current_period_start") or obj["current_period_start"]),
                "current_period_end": utc(item.get("current_period_end") or obj["current_period_end"]),
                "created": utc(item["created"]),
                "position": position,
            }
        )
    return rows


def subscription_with_items(obj: Json) -> Json:
    """Return the subscription's columns, and its items under `_items`, so that neither is stored without the other."""
    return {**subscription(obj), "_items": subscription_items(obj)}


def coupon(obj: Json) -> Json:
    """Return the columns of a `coupon`."""
    percent = obj["percent_off"]
    return {
        "name": obj["name"],
        "percent_off": None if percent is None else float(percent),
        "amount_off": obj["amount_off"],
        "currency": obj["currency"],
        "duration": obj["duration"],
        "duration_in_months": obj["duration_in_months"],
    }


def promotion_code(obj: Json) -> Json:
    """Return the columns of a `promotion_code`. Its coupon stands under `promotion` since clover, at the top before.

    How often it was redeemed is left out: no event tells.
    """
    rules = obj["restrictions"]
    return {
        "code": obj["code"],
        "coupon_id": id_of((obj.get("promotion") or obj)["coupon"]),
        "customer_id": id_of(obj["customer"]),
        "active": obj["active"],
        "expires_at": utc(obj["expires_at"]),
        "max_redemptions": obj["max_redemptions"],
        "first_time": rules["first_time_transaction"],
        "minimum_amount": rules["minimum_amount"],
        "minimum_currency": rules["minimum_amount_currency"],
        "created": utc(obj["created"]),
    }


def discount(obj: Json) -> Json:
    """Return the columns of a `discount`. Its coupon stands under `source` since clover, at the top before."""
    source = obj.get("source") or obj
    return {
        "customer_id": id_of(obj["customer"]),
        "coupon_id": id_of(source["coupon"]),
        "promotion_code_id": id_of(obj.get("promotion_code")),
        "starts": utc(obj["start"]),
        "ends": utc(obj["end"]),
    }


def meter(obj: Json) -> Json:
    """Return the columns of a `billing.meter`."""
    return {
        "event_name": obj["event_name"],
        "display_name": obj["display_name"],
        "formula": obj["default_aggregation"]["formula"],
        "customer_key": obj["customer_mapping"]["event_payload_key"],
        "value_key": obj["value_settings"]["event_payload_key"],
        "status": obj["status"],
    }


def entitlement_summary(obj: Json) -> Json:
    """Return the columns of an `entitlements.active_entitlement_summary`."""
    return {"features": sorted(each["lookup_key"] for each in obj["entitlements"]["data"])}
