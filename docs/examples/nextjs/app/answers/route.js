import { billing, userOf } from "../billing.js";

export async function POST(request) {
  const { ok, data, failure } = await billing.consume(userOf(request), "tokens", 60);
  return Response.json(ok ? data?.remaining : failure, { status: ok ? 200 : 402 });
}
