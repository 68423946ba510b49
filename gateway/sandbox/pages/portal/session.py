"""What all pages of the customer portal share: whose it is, what he may do, and where a finished flow leads.

Source: https://docs.stripe.com/customer-management, https://docs.stripe.com/customer-management/portal-deep-links
"""

from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import sandbox_of
from gateway.sandbox.resources import account

Json = dict[str, Any]

FLASHES = {
    "changed": "Your plan has been changed.",
    "canceled": "Your subscription has been canceled.",
    "resumed": "Your subscription goes on.",
    "kept": "Your plan stays as it is.",
    "method": "Your payment method has been updated.",
    "removed": "The payment method has been removed.",
    "details": "Your billing details have been saved.",
}
"""What ``?done=…`` says on the portal's home page."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A portal session in front of a request."""

    http: Request
    session: Json
    customer: Json
    features: Json

    @property
    def home(self) -> str:
        """The path of the portal's first page."""
        return f"/p/session/{self.session['id']}"

    @property
    def locale(self) -> str:
        """The session's, else the customer's, else the browser's."""
        wanted = self.session["locale"] or next(iter(self.customer["preferred_locales"] or []), None)
        return formats.choose_locale(wanted, self.http.headers.get("accept-language", ""))

    @property
    def flow(self) -> Json | None:
        """The one thing that the session was opened for, until it is done."""
        return None if self.session.get("_flow_done") else self.session["flow"]

    def may(self, feature: str) -> bool:
        """Return whether the configuration offers a feature."""
        return bool(self.features[feature]["enabled"])

    def require(self, feature: str) -> None:
        """Stop unless the configuration offers a feature.

        Raises:
            HTTPException: 403.
        """
        if not self.may(feature):
            raise HTTPException(403, "This portal does not offer that.")

    def subscription(self) -> Json:
        """Return the subscription of the URL.

        Raises:
            HTTPException: 404, it is not this customer's.
        """
        found = sandbox_of(self.http).store.get("subscription", self.http.path_params["subscription"])
        if found is None or found["customer"] != self.customer["id"]:
            raise HTTPException(404, "There is no such subscription here.")
        return found

    def render(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Return a page of the portal."""
        return site.render(
            self.http,
            template,
            status=status,
            visit=self,
            merchant=account.NAME,
            flash=FLASHES.get(self.http.query_params.get("done", "")),
            return_url=site.safe_return_url(self.session["return_url"]),
            locale=self.locale,
            **context,
        )

    def done(self, what: str) -> Response:
        """Return where something that was done leads: as a flow's ``after_completion`` says, else to the first page."""
        flow = self.flow
        if flow is None:
            return site.redirect(f"{self.home}?done={what}")
        store = sandbox_of(self.http).store
        store.put({**self.session, "_flow_done": True})
        after = flow["after_completion"]
        target = site.safe_return_url((after.get("redirect") or {}).get("return_url"))
        if after["type"] == "redirect" and target:
            return site.redirect(target)
        if after["type"] == "hosted_confirmation":
            message = (after.get("hosted_confirmation") or {}).get("custom_message")
            return self.render("portal_done.html", text=message or FLASHES[what])
        return site.redirect(f"{self.home}?done={what}")


def visit_of(http: Request) -> Visit:
    """Return the visit that a request belongs to.

    Raises:
        HTTPException: 404, there is no such session.
    """
    store = sandbox_of(http).store
    session = store.get("billing_portal.session", http.path_params["id"])
    customer = store.get("customer", session["customer"]) if session else None
    configuration = store.get("billing_portal.configuration", session["configuration"]) if session else None
    if session is None or customer is None or configuration is None:
        raise HTTPException(404, "There is no such portal session here.")
    return Visit(http, session, customer, configuration["features"])
