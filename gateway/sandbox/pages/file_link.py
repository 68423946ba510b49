"""A link to a file: whoever has it sees the file, without a key, until it expires."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.pages import site
from gateway.sandbox.pages.calls import need, sandbox_of
from gateway.sandbox.resources import files


def routes() -> list[Route]:
    """Show the file of a link."""
    return [site.view("/links/{id}", linked)]


async def linked(http: Request) -> Response:
    """Send the file as a download: what it is, nobody has looked at."""
    sandbox, link = sandbox_of(http), need(http, "file_link")
    if files.shown(sandbox, link)["expired"]:
        raise HTTPException(410, "This link has expired.")
    content = files.content(sandbox.need("file", link["file"])).content
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/octet-stream", headers=headers)
