"""The frame of the dashboard's pages: sections, time, the word after an action, and a table's context."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import sandbox_of
from gateway.sandbox.pages.dashboard.listings import Column, RenderContext

Json = dict[str, Any]

SECTIONS = (
    ("/", "Overview"),
    ("/customers", "Customers"),
    ("/subscriptions", "Subscriptions"),
    ("/invoices", "Invoices"),
    ("/products", "Products"),
    ("/meters", "Meters"),
    ("/checkouts", "Checkouts"),
    ("/events", "Events"),
)
FLASHES = {
    "clock": "The clock was moved and everything due on the way has happened.",
    "scene": "The scene was played; this is its subscription.",
    "chaos": "The chaos settings are in force for the next deliveries.",
    "resent": "The event is on its way again.",
}
"""What ``?done=…`` says: fixed sentences, so that a link cannot put words into the page."""


def page(http: Request, template: str, *, section: str, **context: Any) -> Response:
    """Return a page of the dashboard; ``section`` is the path of the section that is marked as current."""
    flash = FLASHES.get(http.query_params.get("done", ""))
    sandbox = sandbox_of(http)
    frame: Json = {"section": section, "sections": SECTIONS, "links": sandbox.options.links, "now": sandbox.now()}
    return site.render(http, template, flash=flash, **frame, **context)


def context_of(http: Request) -> RenderContext:
    """Return the sandbox and the reader's locale."""
    return RenderContext(sandbox_of(http), formats.choose_locale(None, http.headers.get("accept-language", "")))


def table(context: RenderContext, name: str, columns: tuple[Column, ...], objects: list[Json]) -> Json:
    """Return columns and rows under the names that templates use: ``invoice_columns`` and ``invoices``."""
    rows = [[column.cell(context, obj) for column in columns] for obj in objects]
    return {f"{name}_columns": columns, f"{name}s": rows}
