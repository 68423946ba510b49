"""What the dashboard's buttons do: move the clock, play a scene, make trouble, resend an event, open the portal."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.core.clock import WALL
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.periods import DAY, shifted
from gateway.sandbox.core.ports import Sandbox
from gateway.sandbox.events.chaos import FAULTS
from gateway.sandbox.pages import site
from gateway.sandbox.pages.calls import base_url, call, sandbox_of
from gateway.sandbox.scenes import play

# A jump of more than a few years is a slip of the finger, and takes very long.
_FARTHEST = 5 * 366 * DAY
_PERIOD_ENDS = ("subscription.cycle", "subscription.end")
_GREATEST_SETTING = 1e9


def routes() -> list[Route]:
    """Return the POST actions of the dashboard."""
    return [
        site.action("/dashboard/clock", clock),
        site.action("/dashboard/scenes", scene),
        site.action("/dashboard/chaos", chaos),
        site.action("/dashboard/events/{id}/resend", resend),
        site.action("/dashboard/customers/{id}/portal", portal),
    ]


def next_renewal(sandbox: Sandbox) -> int | None:
    """Return when the next subscription on the sandbox's own clock comes to the end of a period, None without one."""
    planned = (job for name in _PERIOD_ENDS for job in sandbox.store.scan("_job", job=name))
    return min((int(job["at"]) for job in planned if job["clock"] == WALL), default=None)


async def clock(http: Request) -> Response:
    """Move the sandbox's clock forward: ``jump`` by a span or to the next renewal, or ``to`` a moment."""
    form, sandbox = await site.read_form(http), sandbox_of(http)
    now = sandbox.now()
    jump = form.get("jump", "")
    to: int | None = None
    if jump == "renewal":
        to = next_renewal(sandbox)
    elif jump in ("day", "week", "month", "year"):
        to = shifted(now, jump, 1)
    elif form.get("to", "").isdecimal():
        to = int(form["to"])
    if to is None or not now <= to <= now + _FARTHEST:
        raise HTTPException(400, "The clock moves forward by a day, a week, a month, a year or to a renewal.")
    await sandbox.clock.advance_async(to)
    return site.redirect(_back(form, "/", "clock"))


async def scene(http: Request) -> Response:
    """Play the scene of the button that was pressed, about the customer on whose page it is."""
    form = await site.read_form(http)
    try:
        played = await play(sandbox_of(http), form.get("scene", ""), base_url(http), form.get("customer") or None)
    except StripeError as error:
        raise HTTPException(400, f"The scene cannot be played: {error.message}") from None
    return site.redirect(f"/subscriptions/{played['subscription']}?done=scene")


async def chaos(http: Request) -> Response:
    """Set how many of a hundred deliveries each fault hits, for how long a delay is, and the seed."""
    form, sandbox = await site.read_form(http), sandbox_of(http)
    try:
        sandbox.chaos.configure(_chaos_settings(form))
    except (ValueError, StripeError):
        raise HTTPException(400, "Each chaos setting is a number from 0 to 100.") from None
    return site.redirect("/?done=chaos")


def _chaos_settings(form: dict[str, str]) -> dict[str, float]:
    """Return the settings that the form asks for; a ValueError says that something in it is no sensible number."""
    off = form.get("action") == "off"
    settings = {name: 0.0 if off else float(form.get(name) or 0) / 100 for name in FAULTS}
    settings |= {name: float(form[name]) for name in ("delay_seconds", "seed") if form.get(name)}
    if not all(abs(value) < _GREATEST_SETTING for value in settings.values()):
        raise ValueError
    return settings


async def resend(http: Request) -> Response:
    """Send an event once more to every destination that wants it."""
    await site.read_form(http)
    sandbox, event_id = sandbox_of(http), http.path_params["id"]
    found = sandbox.store.get("event", event_id)
    if found is None:
        raise HTTPException(404, f"There is no event {event_id} here.")
    with sandbox.store.transaction():
        sandbox.deliveries.redeliver(found)
    return site.redirect(f"/events/{event_id}?done=resent")


async def portal(http: Request) -> Response:
    """Open the customer portal as a customer would see it."""
    await site.read_form(http)
    customer = http.path_params["id"]
    try:
        session = call(
            http,
            "POST",
            "/v1/billing_portal/sessions",
            {"customer": customer, "return_url": str(http.url_for("customer", id=customer))},
        )
    except (StripeError, LookupError) as error:
        raise HTTPException(400, f"The portal cannot be opened: {error}") from None
    return site.redirect(session["url"])


def _back(form: dict[str, str], otherwise: str, done: str) -> str:
    """Return a page of ours to go back to, never another site."""
    back = form.get("back", "")
    page = back if back.startswith("/") and not back.startswith(("//", "/\\")) else otherwise
    return f"{page}?done={done}"
