import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

export async function POST(request) {
  let message;
  try {
    message = new Webhook(process.env.WEBHOOK_SECRET).verify(await request.text(), Object.fromEntries(request.headers));
  } catch {
    return new Response(null, { status: 400 });
  }
  mkdirSync("messages", { recursive: true });
  const known = `messages/${request.headers.get("webhook-id")}`; // with a database: a row, in the transaction of what follows
  if (!existsSync(known)) {
    console.log(message.type, message.data.externalId);
    writeFileSync(known, "");
  }
  return new Response(null, { status: 204 });
}
