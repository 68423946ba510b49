// A back end with Express: `node server.js`.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createClient } from "billing-gateway-web";
import express from "express";
import { Webhook } from "standardwebhooks";

const { BILLING_URL: url, GATEWAY_SERVICE_TOKEN: token, WEBHOOK_SECRET, PORT = 3000 } = process.env;
const billing = createClient({ url, token: () => token });
const CONSUME = {
  text: "mutation($input: ConsumeInput!) { consume(input: $input) { count { remaining } userErrors { code message text } } }",
};
const app = express();
const userOf = (request) => request.get("X-User"); // who has signed in: your own way to know
mkdirSync("messages", { recursive: true });

app.post("/hooks", express.raw({ type: "*/*" }), (request, response) => {
  let message;
  try {
    message = new Webhook(WEBHOOK_SECRET).verify(request.body, request.headers);
  } catch {
    return response.sendStatus(400);
  }
  const known = `messages/${request.get("webhook-id")}`; // with a database: a row, in the transaction of what follows
  if (!existsSync(known)) {
    console.log(message.type, message.data.externalId);
    writeFileSync(known, "");
  }
  response.sendStatus(204);
});

app.get("/export", async (request, response) => {
  const asked = fetch(`${url}/access/${encodeURIComponent(userOf(request))}/tokens`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(250),
  });
  const allowed = await asked.then(({ status }) => status === 200 || status >= 500, () => true); // also while it is away
  response.status(allowed ? 200 : 402).send(allowed ? "a file" : "");
});

app.post("/answers", async (request, response) => {
  const wanted = { externalId: userOf(request), feature: "tokens", amount: 60, idempotencyKey: crypto.randomUUID() };
  const { ok, data, failure } = await billing.mutate(CONSUME, wanted);
  response.status(ok ? 200 : 402).json(ok ? data.count?.remaining : failure);
});

app.listen(PORT);
