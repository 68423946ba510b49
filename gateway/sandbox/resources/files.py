"""Files that were uploaded, and links to them.

Source: https://docs.stripe.com/api/files and https://docs.stripe.com/api/file_links
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.ports import Download
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("file", "file", path="file")
kind("file_link", "link", "file link", path="link")


@route("POST", "/v1/files", params="*")
def upload(sandbox: Sandbox, request: Request) -> Obj:
    """Upload a file (`multipart/form-data`)."""
    for name in ("file", "purpose"):
        if name not in request.params:
            raise parameter_missing(name)
    sent = request.params["file"]
    if not isinstance(sent, dict):
        sent = {"filename": None, "content": base64.b64encode(str(sent).encode()).decode()}
    suffix = (sent["filename"] or "").rpartition(".")[2].lower() or None
    new_id = sandbox.new_id("file")
    return sandbox.create(
        {
            "id": new_id,
            "object": "file",
            "filename": sent["filename"],
            "purpose": request.params["purpose"],
            "size": len(base64.b64decode(sent["content"])),
            "type": suffix,
            "url": f"{request.base_url}/v1/files/{new_id}/contents",
            "_content": sent["content"],
        }
    )


@route("GET", "/v1/files", params="FileListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List files."""
    return page(sandbox, request, "file")


@route("GET", "/v1/files/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve what is known of a file."""
    return sandbox.need("file", id)


@route("GET", "/v1/files/{id}/contents")
def contents(sandbox: Sandbox, _: Request, id: str) -> Download:
    """Download what was uploaded."""
    return content(sandbox.need("file", id))


def content(file: Obj) -> Download:
    """Return what was uploaded."""
    return Download(base64.b64decode(file["_content"]))


@expandable("file", "links")
def _links(sandbox: Sandbox, file: Obj) -> Obj:
    return envelope(f"/v1/file_links?file={file['id']}", sandbox.store.find("file_link", file=file["id"]))


@route("POST", "/v1/file_links", params="FileLinkCreateParams")
def link(sandbox: Sandbox, request: Request) -> Obj:
    """Make a link to a file that needs no key."""
    params = request.params
    sandbox.need("file", params["file"], "file")
    new_id = sandbox.new_id("link")
    blank: Obj = {"id": new_id, "object": "file_link", "expired": False, "file": params["file"], "metadata": {}}
    blank["url"] = f"{request.base_url}/links/{new_id}"
    return sandbox.create(merge(blank, params, "expires_at", "metadata"))


@route("GET", "/v1/file_links", params="FileLinkListParams")
def link_index(sandbox: Sandbox, request: Request) -> Obj:
    """List links to files."""
    found = page(sandbox, request, "file_link")
    return {**found, "data": [shown(sandbox, each) for each in found["data"]]}


@route("GET", "/v1/file_links/{id}")
def link_retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a link to a file."""
    return shown(sandbox, sandbox.need("file_link", id))


@route("POST", "/v1/file_links/{id}", params="FileLinkUpdateParams")
def link_update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a link's metadata, or when it expires (`now` is now)."""
    changed = merge(sandbox.need("file_link", id), request.params, "metadata", "expires_at")
    if changed["expires_at"] == "now":
        changed["expires_at"] = sandbox.now()
    return shown(sandbox, sandbox.update(changed))


def shown(sandbox: Sandbox, link: Obj) -> Obj:
    """Return a link that says whether it has expired by now."""
    return {**link, "expired": link["expires_at"] is not None and link["expires_at"] <= sandbox.now()}
