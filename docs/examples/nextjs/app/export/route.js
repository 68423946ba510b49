import { allowed, userOf } from "../billing.js";

export async function GET(request) {
  const may = await allowed(userOf(request), "tokens");
  return new Response(may ? "a file" : null, { status: may ? 200 : 402 });
}
