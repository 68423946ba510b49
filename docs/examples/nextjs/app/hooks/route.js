import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { verifyWebhook } from "billing-gateway-web/server";

export async function POST(request) {
  const message = await verifyWebhook(await request.text(), request.headers, process.env.WEBHOOK_SECRET).catch(() => null);
  if (!message) return new Response(null, { status: 400 });
  mkdirSync("messages", { recursive: true });
  const known = `messages/${message.id}`; // with a database: a row, in the transaction of what follows
  if (!existsSync(known)) {
    console.log(message.type, message.data.externalId);
    writeFileSync(known, "");
  }
  return new Response(null, { status: 204 });
}
