import { billing, userOf } from "../billing.js";

const CONSUME = {
  text: "mutation($input: ConsumeInput!) { consume(input: $input) { count { remaining } userErrors { code message text } } }",
};

export async function POST(request) {
  const wanted = { externalId: userOf(request), feature: "tokens", amount: 60, idempotencyKey: crypto.randomUUID() };
  const { ok, data, failure } = await billing.mutate(CONSUME, wanted);
  return Response.json(ok ? data.count?.remaining : failure, { status: ok ? 200 : 402 });
}
