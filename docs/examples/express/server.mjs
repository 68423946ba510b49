// A back end with Express: `node server.mjs`.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createBackend, verifyWebhook } from "billing-gateway-web/server";
import express from "express";

const { BILLING_URL: url, GATEWAY_SERVICE_TOKEN: token, WEBHOOK_SECRET, PORT = 3000 } = process.env;
const billing = createBackend({ url, token });
const app = express();
const userOf = (request) => request.get("X-User"); // who has signed in: your own way to know
mkdirSync("messages", { recursive: true });

app.post("/hooks", express.raw({ type: "*/*" }), async (request, response) => {
  const message = await verifyWebhook(request.body, request.headers, WEBHOOK_SECRET).catch(() => null);
  if (!message) return response.sendStatus(400);
  const known = `messages/${message.id}`; // with a database: a row, in the transaction of what follows
  if (!existsSync(known)) {
    console.log(message.type, message.data.externalId);
    writeFileSync(known, "");
  }
  response.sendStatus(204);
});

app.get("/export", async (request, response) => {
  const allowed = await billing.allowed(userOf(request), "exports");
  response.status(allowed ? 200 : 402).send(allowed ? "a file" : "");
});

app.post("/answers", async (request, response) => {
  const { ok, data, failure } = await billing.consume(userOf(request), "tokens", 60);
  response.status(ok ? 200 : 402).json(ok ? data?.remaining : failure);
});

app.listen(PORT);
