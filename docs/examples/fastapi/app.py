"""A back end with FastAPI: `uvicorn app:app --port 3000`."""

import os
import sqlite3
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request

from gateway.client import AsyncClient, Refused, WebhookError, verify_webhook

billing = AsyncClient(os.environ["BILLING_URL"], os.environ["GATEWAY_SERVICE_TOKEN"])
app, database = FastAPI(), sqlite3.connect("app.db")
database.execute("CREATE TABLE IF NOT EXISTS message (id PRIMARY KEY)")
User = Annotated[str, Header(alias="X-User")]  # who has signed in: your own way to know


@app.post("/hooks", status_code=204)
async def hear(request: Request) -> None:
    try:
        message = verify_webhook(await request.body(), request.headers, os.environ["WEBHOOK_SECRET"])
    except WebhookError as error:
        raise HTTPException(400) from error
    with database:  # a message that comes again is known: what it led to and its id are kept together
        if database.execute("INSERT OR IGNORE INTO message VALUES (?)", [message.id]).rowcount:
            print(message.type, message.data["externalId"], flush=True)


@app.get("/export")
async def export(user: User) -> str:
    if not await billing.allowed(user, "exports"):
        raise HTTPException(402)
    return "a file"


@app.post("/answers")
async def answer(user: User) -> int | None:
    try:
        return await billing.consume(user, "tokens", 60)  # `key`, if it may be asked for again
    except Refused as refused:
        raise HTTPException(402, refused.problems) from refused
