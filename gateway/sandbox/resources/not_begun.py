"""Kinds of objects that a fresh account has none of: their lists are empty, and every id is unknown.

Programs that copy an account ask for all of them before anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

# The object, the prefix of its ids, its path, and the SDK's type of the list's parameters.
NOT_BEGUN = (
    ("apple_pay_domain", "apwc", "apple_pay/domains", "ApplePayDomainListParams"),
    ("application_fee", "fee", "application_fees", "ApplicationFeeListParams"),
    (
        "financial_connections.account",
        "fca",
        "financial_connections/accounts",
        "financial_connections.AccountListParams",
    ),
    (
        "identity.verification_session",
        "vs",
        "identity/verification_sessions",
        "identity.VerificationSessionListParams",
    ),
    (
        "identity.verification_report",
        "vr",
        "identity/verification_reports",
        "identity.VerificationReportListParams",
    ),
    ("invoice_rendering_template", "inrtem", "invoice_rendering_templates", "InvoiceRenderingTemplateListParams"),
    ("issuing.authorization", "iauth", "issuing/authorizations", "issuing.AuthorizationListParams"),
    ("issuing.card", "ic", "issuing/cards", "issuing.CardListParams"),
    ("issuing.cardholder", "ich", "issuing/cardholders", "issuing.CardholderListParams"),
    ("issuing.dispute", "idp", "issuing/disputes", "issuing.DisputeListParams"),
    ("issuing.transaction", "ipi", "issuing/transactions", "issuing.TransactionListParams"),
    ("radar.value_list", "rsl", "radar/value_lists", "radar.ValueListListParams"),
    ("reporting.report_run", "frr", "reporting/report_runs", "reporting.ReportRunListParams"),
    ("review", "prv", "reviews", "ReviewListParams"),
    ("terminal.location", "tml", "terminal/locations", "terminal.LocationListParams"),
    ("terminal.reader", "tmr", "terminal/readers", "terminal.ReaderListParams"),
    ("topup", "tu", "topups", "TopupListParams"),
    ("transfer", "tr", "transfers", "TransferListParams"),
)


def _declare(name: str, prefix: str, path: str, params: str) -> None:
    kind(name, prefix)

    @route("GET", f"/v1/{path}", params=params)
    def index(sandbox: Sandbox, request: Request) -> Obj:
        return page(sandbox, request, name)

    @route("GET", f"/v1/{path}/{{id}}")
    def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
        return sandbox.need(name, id)


for each in NOT_BEGUN:
    _declare(*each)
