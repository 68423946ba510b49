"""The pages that people see: hosted checkout, customer portal, invoices and the dashboard.

They are clients of the same objects and the same operations as the API; nothing is kept here.
"""

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from gateway.sandbox.pages import authentication, file_link, invoice_payment, payment_link, receipt, site
from gateway.sandbox.pages import invoice as invoice_page
from gateway.sandbox.pages.checkout import routes as checkout
from gateway.sandbox.pages.dashboard import actions as levers
from gateway.sandbox.pages.dashboard import details
from gateway.sandbox.pages.dashboard import routes as dashboard
from gateway.sandbox.pages.portal import routes as portal


def page_routes() -> list[BaseRoute]:
    """Return the routes of all pages; they find the sandbox at ``app.state.sandbox``."""
    return [
        *authentication.routes(),
        *checkout.routes(),
        *dashboard.routes(),
        *details.routes(),
        *levers.routes(),
        *invoice_page.routes(),
        *invoice_payment.routes(),
        *portal.routes(),
        *payment_link.routes(),
        *file_link.routes(),
        *receipt.routes(),
        Mount("/static", StaticFiles(directory=site.STATIC)),
    ]
