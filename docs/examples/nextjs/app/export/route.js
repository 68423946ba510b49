import { billing, userOf } from "../billing.js";

export async function GET(request) {
  const allowed = await billing.allowed(userOf(request), "exports");
  return new Response(allowed ? "a file" : null, { status: allowed ? 200 : 402 });
}
