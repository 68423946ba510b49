"""Events and webhook deliveries as the dashboard shows them."""

from typing import Any

from gateway.sandbox.pages import formats
from gateway.sandbox.pages.dashboard.listings import Cell, Column, Listing, RenderContext, page_of, status
from gateway.sandbox.pages.labels import TONES

Json = dict[str, Any]

_ABOUT_LENGTH = 18


def _delivery_state(context: RenderContext, event: Json) -> Cell:
    """Return how the deliveries of an event stand, the worst first."""
    deliveries = context.sandbox.deliveries.find(event=event["id"])
    states = {_state(delivery) for delivery in deliveries}
    worst = next((state for state in ("failed", "dropped", "retrying", "pending", "delivered") if state in states), "")
    return Cell(formats.words(worst), tone=TONES.get(worst, "")) if worst else Cell(formats.NOTHING)


def _state(delivery: Json) -> str:
    return "retrying" if delivery["status"] == "pending" and delivery["attempts"] else str(delivery["status"])


def attempts_of(context: RenderContext, event: Json) -> list[Json]:
    """Return every attempt to deliver an event, newest first, and the deliveries that were not tried yet."""
    shown = []
    for delivery in context.sandbox.deliveries.find(event=event["id"]):
        endpoint = context.sandbox.store.get("webhook_endpoint", delivery["endpoint"])
        where = {"url": endpoint["url"] if endpoint else delivery["endpoint"]}
        if not delivery["attempts"]:
            shown.append(
                where
                | {"at": int(delivery["next_attempt"]), "number": 0, "status": status(delivery["status"]), "answer": ""}
            )
        for number, attempt in reversed(list(enumerate(delivery["attempts"], 1))):
            text = f"{attempt['status'] or attempt['error']} in {attempt['ms']} ms"
            tone = "danger" if attempt["error"] else "ok"
            shown.append(
                where
                | {
                    "at": int(attempt["at"]),
                    "number": number,
                    "status": Cell(text, tone=tone),
                    "answer": attempt["answer"],
                }
            )
    return shown


def _last_answer(context: RenderContext, endpoint: Json) -> Cell:
    for delivery in context.sandbox.deliveries.find(endpoint=endpoint["id"])[:20]:
        if delivery["attempts"]:
            last = delivery["attempts"][-1]
            return Cell(str(last["status"] or "No answer"), tone="danger" if last["error"] else "ok")
    return Cell(formats.NOTHING)


EVENTS = Listing(
    "/events",
    "Events",
    "event",
    (
        Column("Event", lambda _, obj: Cell(obj["type"], f"/events/{obj['id']}")),
        Column("About", lambda _, obj: _about(obj)),
        Column("When", lambda context, obj: Cell(formats.brief(obj["created"], context.locale))),
        Column("Delivery", _delivery_state),
    ),
    "Nothing has happened yet.",
)
DESTINATIONS = Listing(
    "/webhooks",
    "Webhook destinations",
    "webhook_endpoint",
    (
        Column("URL", lambda _, obj: Cell(obj["url"], page_of(obj))),
        Column(
            "Events", lambda _, obj: Cell("all" if "*" in obj["enabled_events"] else str(len(obj["enabled_events"])))
        ),
        Column("State", lambda _, obj: status(obj["status"])),
        Column("Last answer", _last_answer),
        Column("Signing secret", lambda _, obj: Cell(obj["_secret"], mono=True, copy=True)),
    ),
    "No destination.",
)


def _about(event: Json) -> Cell:
    obj = event["data"]["object"]
    if not obj.get("id"):
        return Cell(formats.NOTHING)
    return Cell(obj.get("name") or obj.get("email") or obj.get("number") or _short(obj["id"]), page_of(obj))


def _short(id: str) -> str:
    return id if len(id) <= _ABOUT_LENGTH else f"{id[:_ABOUT_LENGTH]}…"
