"""The dashboard's overview and lists: what the sandbox holds, what happened, who was told."""

from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.events.chaos import FAULTS
from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.dashboard.actions import next_renewal
from gateway.sandbox.pages.dashboard.events import DESTINATIONS, EVENTS
from gateway.sandbox.pages.dashboard.frame import context_of, page, table
from gateway.sandbox.pages.dashboard.listings import LISTINGS, TABS, Cell, Column, Listing, RenderContext
from gateway.sandbox.scenes import SCENES

Json = dict[str, Any]

PAGE_SIZE = 50
RECENT = 12
_TYPES_FROM = 1000
"""How many events are looked through for the types that can be chosen."""

_LISTINGS = {**LISTINGS, EVENTS.path: EVENTS}
_TILES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("Customers", "/customers", "customer", {}),
    ("Active", "/subscriptions?q=active", "subscription", {"status": "active"}),
    ("In trial", "/subscriptions?q=trialing", "subscription", {"status": "trialing"}),
    ("Past due", "/subscriptions?q=past_due", "subscription", {"status": "past_due"}),
    ("Invoices", "/invoices", "invoice", {}),
    ("Products", "/products", "product", {}),
    ("Prices", "/prices", "price", {}),
    ("Events", "/events", "event", {}),
)
_UNKNOWN = (
    Column("Path", lambda _, obj: Cell(obj["path"], mono=True)),
    Column("Asked", lambda _, obj: Cell(str(obj["count"])), style="number"),
)


def routes() -> list[Route]:
    """Return the overview and the lists."""
    return [site.view("/", overview), *(site.view(path, listing) for path in _LISTINGS)]


async def overview(http: Request) -> Response:
    """Show counts, recent events, webhook destinations, unknown paths, clock and chaos."""
    context = context_of(http)
    store = context.sandbox.store
    unknown = [{"path": path, "count": count} for path, count in context.sandbox.unknown_paths.most_common(RECENT)]
    return page(
        http,
        "overview.html",
        section="/",
        tiles=_tiles(context),
        chaos=_chaos(context),
        scenes=SCENES,
        next_due=_next_due(context),
        next_renewal=next_renewal(context.sandbox),
        **table(context, "event", EVENTS.columns, list(islice(store.scan("event"), RECENT))),
        **table(context, "destination", DESTINATIONS.columns, store.find("webhook_endpoint")),
        **table(context, "unknown_path", _UNKNOWN, unknown),
    )


async def listing(http: Request) -> Response:
    """Show one of the lists, searched (``q``), of one ``type`` of events, and paged (``after``)."""
    found: Listing = _LISTINGS[http.url.path]
    context = context_of(http)
    query, after = http.query_params.get("q", ""), http.query_params.get("after")
    if after and context.sandbox.store.get(found.kind, after) is None:
        after = None
    kind = http.query_params.get("type", "") if found is EVENTS else ""
    matching = found.search(context.sandbox, query, after, **({"type": kind} if kind else {}))
    objects = list(islice(matching, PAGE_SIZE + 1))
    shown = objects[:PAGE_SIZE]
    together = TABS.get(found.path, ())
    return page(
        http,
        "listing.html",
        section=together[0].path if together else found.path,
        listing=found,
        tabs=[(each.path, each.label) for each in together],
        rows=found.rows(context, shown),
        q=query,
        types=_event_types(context) if found is EVENTS else (),
        type=kind,
        after=after,
        more=shown[-1]["id"] if len(objects) > PAGE_SIZE else None,
    )


def _event_types(context: RenderContext) -> list[str]:
    """Return the types of the newest events."""
    return sorted({event["type"] for event in islice(context.sandbox.store.scan("event"), _TYPES_FROM)})


def _tiles(context: RenderContext) -> list[Json]:
    store = context.sandbox.store
    return [
        {"label": label, "href": href, "value": len(store.ids(kind, **equals)) if equals else store.count(kind)}
        for label, href, kind, equals in _TILES
    ]


def _chaos(context: RenderContext) -> Json:
    """Return the settings for the form: shares in percent, the delay in seconds, the seed of the dice."""
    settings = context.sandbox.chaos.settings()
    delay = f"{settings['delay_seconds']:g}"
    switches = [
        {
            "name": name,
            "label": formats.words(name),
            "hint": hint.replace("`delay_seconds`", f"{delay} seconds"),
            "percent": f"{settings[name] * 100:g}",
        }
        for name, hint in FAULTS.items()
    ]
    return {"switches": switches, "delay_seconds": delay, "seed": f"{settings['seed']:g}"}


def _next_due(context: RenderContext) -> Json | None:
    """Return what falls due next on the sandbox's own clock, in words."""
    job = context.sandbox.clock.next_job()
    return {"at": job["at"], "what": formats.words(job["job"]), "id": job["_object"]} if job else None
