"""The fields that an object always has, null when nothing is known: read off the SDK's own classes at run time.

The SDK declares both "may be null" and "may be absent" as Optional. Only the second kind is listed here, because
the annotations do not tell; the tests compare the outcome with Stripe's API description.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from stripe._object_classes import OBJECT_CLASSES

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj

ABSENT: dict[str, frozenset[str]] = {
    kind: frozenset(fields.split())
    for kind, fields in {
        "charge": "authorization_code level3 presentment_details radar_options refunds transfer",
        "checkout.session": "branding_settings excluded_payment_method_types line_items name_collection "
        "optional_items phone_number_collection presentment_details redirect_on_completion return_url "
        "tax_id_collection",
        "coupon": "applies_to currency_options",
        "customer": "business_name cash_balance individual_name invoice_credit_balance next_invoice_sequence "
        "sources subscriptions tax tax_ids",
        "customer_session": "components",
        "ephemeral_key": "secret",
        "event": "account context",
        "invoice": "amount_paid_off_stripe confirmation_secret customer_tax_ids payments status_details "
        "threshold_reason",
        "invoiceitem": "frozen_fields invoicing_rules net_amount proration_details",
        "item": "discounts taxes",
        "payment_intent": "amount_details hooks payment_details presentment_details",
        "payment_method": "allow_redisplay radar_options",
        "plan": "tiers",
        "price": "currency_options tiers",
        "product": "default_price",
        "refund": "description destination_details failure_balance_transaction failure_reason instructions_email "
        "next_action pending_reason presentment_details",
        "setup_intent": "attach_to_self",
        "subscription": "presentment_details status_details",
        "subscription_item": "billed_until quantity",
        "webhook_endpoint": "secret",
        # Inner hashes go by the names of their classes.
        "Calculation.ShippingCost": "shipping_rate tax_breakdown",
        "Charge.Outcome": "risk_level risk_score rule",
        "Charge.Shipping": "address name",
        "CreditGrant.ApplicabilityConfig.Scope": "price_type prices",
        "Customer.Shipping": "address name",
        "Event.Data": "previous_attributes",
        "Invoice.AutomaticTax.Liability": "account",
        "Invoice.CustomerShipping": "address name",
        "Invoice.Issuer": "account",
        "Invoice.Parent.SubscriptionDetails": "subscription_proration_date",
        "Invoice.PaymentSettings.PaymentMethodOptions.Card": "installments",
        "Invoice.ShippingCost": "taxes",
        "Invoice.ShippingDetails": "address name",
        "Invoice.StatusDetails": "uncollectible",
        "Invoice.TotalPretaxCreditAmount": "discount",
        "InvoiceItem.Parent.SubscriptionDetails": "subscription_item",
        "InvoiceItem.Pricing": "price_details",
        "InvoiceItem.ProrationDetails.CreditedItems": "invoice_item invoice_line_item_details",
        "InvoiceLineItem.PretaxCreditAmount": "discount",
        "InvoiceLineItem.Pricing": "price_details",
        "InvoicePayment.Payment": "charge payment_intent payment_record",
        "PaymentIntent.AutomaticPaymentMethods": "allow_redirects",
        "PaymentIntent.Processing": "card",
        "PaymentIntent.Shipping": "address name",
        "PaymentMethod.Link": "persistent_token",
        **{
            f"PaymentMethodDomain.{wallet}": "status_details"
            for wallet in ("AmazonPay", "ApplePay", "GooglePay", "Klarna", "Link", "Paypal")
        },
        "PaymentMethod.UsBankAccount.StatusDetails": "blocked",
        "Product.MarketingFeature": "name",
        "PromotionCode.Restrictions": "currency_options",
        "Session.AutomaticTax.Liability": "account",
        "Session.BrandingSettings.Icon": "file url",
        "Session.BrandingSettings.Logo": "file url",
        "Session.CustomField": "dropdown numeric text",
        "Session.Flow.SubscriptionUpdateConfirm.Item": "quantity",
        "Session.InvoiceCreation.InvoiceData.Issuer": "account",
        "Session.NameCollection": "business individual",
        "Session.ShippingCost": "taxes",
        "Session.TotalDetails": "breakdown",
        "Session.WalletOptions": "link",
        "Session.WalletOptions.Link": "display",
        "SetupIntent.AutomaticPaymentMethods": "allow_redirects",
        "ShippingRate.FixedAmount": "currency_options",
        "Subscription.AutomaticTax.Liability": "account",
        "Subscription.BillingMode": "updated_at",
        "Subscription.PaymentSettings.PaymentMethodOptions.Card": "mandate_options",
        "Subscription.BillingMode.Flexible": "proration_discounts",
        "Subscription.InvoiceSettings.Issuer": "account",
        "TaxId.Owner": "account application customer",
        "TestClock.StatusDetails": "advancing",
        "Transaction.ShippingCost": "shipping_rate tax_breakdown",
    }.items()
}
# Hashes of which an object has the one or few that apply to it; nothing is filled in inside them.
_VARIANTS = frozenset(
    (  # noqa: SIM905 -- a list would take a line for each name
        "amount_details country_options destination_details fraud_details hooks last_finalization_error "
        "last_payment_error last_setup_error level3 next_action payment_method_details payment_method_options "
        "radar_options transfer_data wallet"
    ).split()
)


@cache
def _template(kind: str) -> tuple[Obj, Obj]:
    """Return the always-present fields of a kind with their empty values, and the classes of its inner hashes."""
    if kind not in OBJECT_CLASSES:
        return {}, {}
    module, name = OBJECT_CLASSES[kind]
    return _fields(getattr(import_module(module), name), ABSENT.get(kind, frozenset()))


@cache
def _fields(cls: Any, absent: frozenset[str] = frozenset()) -> tuple[Obj, Obj]:
    inner: Obj = getattr(cls, "_inner_class_types", {})
    empty: Obj = {}
    for name, annotation in getattr(cls, "__annotations__", {}).items():
        if name == "livemode":
            empty[name] = False
        elif name == "metadata" and type(None) not in get_args(annotation):
            empty[name] = {}
        elif type(None) in get_args(annotation) and name != "deleted" and name not in absent:
            # A payment method names its sixty type-specific hashes as Optional: only one is ever there.
            if (
                cls.__name__ in ("PaymentMethod", "PaymentMethodPreview")
                and name in inner
                and name != "billing_details"
            ):
                continue
            empty[name] = None
    # Of a map (`currency_options` by currency) the class describes the values: their makers fill them.
    maps = {name for name, annotation in cls.__annotations__.items() if "UntypedStripeObject" in str(annotation)}
    # Settings of payments show every type of payment method, an intent only those that it has.
    variants = _VARIANTS - {"payment_method_options"} if cls.__name__ == "PaymentSettings" else _VARIANTS
    return empty, {name: each for name, each in inner.items() if name not in variants | maps}


def _inner(cls: Any) -> tuple[Obj, Obj]:
    return _fields(cls, ABSENT.get(cls.__qualname__, frozenset()))


# Lists inside objects that tell how many there are, though the API description does not have it (recorded).
COUNTED = frozenset(
    {
        ("charge", "refunds"),
        ("customer", "sources"),
        ("customer", "subscriptions"),
        ("customer", "tax_ids"),
        ("invoice", "lines"),
        ("subscription", "items"),
        ("tax.calculation", "line_items"),
        ("tax.transaction", "line_items"),
    }
)
# Null on Stripe's wire in every version, though the SDK has them no more (recorded).
_OUTLIVED: dict[str, Obj] = {"charge": {"destination": None, "dispute": None, "order": None}}


def counted(kind: str, field: str, value: Obj) -> Obj:
    """Return the list of a field with `total_count` where Stripe shows one."""
    return {**value, "total_count": len(value["data"])} if (kind, field) in COUNTED else value


def complete(obj: Obj) -> Obj:
    """Return the object with all fields that Stripe would show, in Stripe's order (id, object, then by name)."""
    kind = obj["object"]
    filled = _complete({**_OUTLIVED.get(kind, {}), **obj}, *_template(kind))
    for name, value in filled.items():
        if isinstance(value, dict) and value.get("object") == "list":
            filled[name] = counted(kind, name, value)
    if kind == "subscription":
        filled |= _only_item(filled)
    head = {"id": filled["id"], "object": filled["object"]} if "id" in filled else {"object": filled["object"]}
    return {**head, **dict(sorted(filled.items()))}


def _only_item(subscription: Obj) -> Obj:
    """Return `plan` and `quantity` of a subscription, which every version shows for one with a single item."""
    items = subscription["items"]["data"]
    single = items[0] if len(items) == 1 else {}
    return {"plan": single.get("plan"), "quantity": single.get("quantity")}


def _complete(obj: Obj, empty: Obj, inner: Obj) -> Obj:
    filled = {**empty, **obj}
    for name, cls in inner.items():
        value = filled.get(name)
        if isinstance(value, dict) and "object" not in value:
            filled[name] = _complete(value, *_inner(cls))
        elif isinstance(value, list):
            filled[name] = [
                _complete(each, *_inner(cls)) if isinstance(each, dict) and "object" not in each else each
                for each in value
            ]
    return filled


def has(kind: str, field: str) -> bool:
    """Return whether objects of a kind have a field at all (not every kind has `created`)."""
    if kind not in OBJECT_CLASSES:
        return True
    module, name = OBJECT_CLASSES[kind]
    return field in getattr(getattr(import_module(module), name), "__annotations__", {})


@cache
def includable(kind: str, field: str) -> bool:
    """Return whether a field that an object lacks may be expanded: it is one of those that come only when asked for.

    Args:
        kind: The `object` of what is expanded, empty for a hash inside an object.
        field: The name of the field.
    """
    names = {kind} if kind else {name for name in ABSENT if "." in name}
    return any(field in ABSENT.get(name, frozenset()) for name in names)


def envelope(url: str, data: list[Obj], has_more: bool = False) -> Obj:
    """Return Stripe's list object, also for lists inside objects (`subscription.items`)."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
