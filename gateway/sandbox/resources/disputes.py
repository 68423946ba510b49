"""Disputes. https://docs.stripe.com/api/disputes, docs.stripe.com/testing#disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import disputes
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("dispute", "du")

# What Stripe's test mode decides a dispute by: the text of the evidence.
WINNING, LOSING = "winning_evidence", "losing_evidence"


@route("GET", "/v1/disputes", params="DisputeListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List disputes."""
    return page(sandbox, request, "dispute")


@route("GET", "/v1/disputes/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a dispute."""
    return sandbox.need("dispute", id)


@route("POST", "/v1/disputes/{id}", params="DisputeUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Submit evidence: `uncategorized_text` of `winning_evidence` or `losing_evidence` decides at once."""
    dispute = merge(sandbox.need("dispute", id), request.params, "evidence", "metadata")
    if request.params.get("evidence"):
        dispute["evidence_details"]["has_evidence"] = True
        if request.params.get("submit", True):
            dispute["evidence_details"]["submission_count"] += 1
            dispute["evidence_details"]["submission_method"] = "manual"
            inquiry = dispute["status"].startswith("warning")
            dispute["status"] = "warning_under_review" if inquiry else "under_review"
    sandbox.update(dispute, "charge.dispute.updated")
    verdict = (request.params.get("evidence") or {}).get("uncategorized_text")
    if verdict in (WINNING, LOSING):
        return disputes.close(sandbox, dispute, won=verdict == WINNING)
    return dispute


@route("POST", "/v1/disputes/{id}/close")
def close(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Accept the dispute as lost."""
    return disputes.close(sandbox, sandbox.need("dispute", id), won=False)
