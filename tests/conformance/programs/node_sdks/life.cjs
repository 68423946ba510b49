// Live through a subscription with one version of Stripe's library for Node: `node life.cjs URL MAJOR API_VERSION`.
// Any disagreement throws. The library finds the offline Stripe by its own options. Until version 11 it sent the
// account's version where none was named, so they name one of their time.
const assert = require("node:assert/strict");

const { hostname, port } = new URL(process.argv[2]);
const major = Number(process.argv[3]);
const library = require(`stripe-${major}`);
const Stripe = library.default ?? library;
const stripe = new Stripe("sk_test_1234567890123456", {
  host: hostname, port, protocol: "http", telemetry: false, ...(process.argv[4] && { apiVersion: process.argv[4] }),
});
const basil = major >= 18; // its API version moved the period to the items, and the payment behind `payments`

async function all(list) {
  const found = [];
  for await (const each of list) found.push(each);
  return found;
}

async function main() {
  const product = await stripe.products.create({ name: "Tea", metadata: { sort_order: "1" } });
  const price = await stripe.prices.create({
    product: product.id, currency: "usd", unit_amount: 1200, recurring: { interval: "month" }, lookup_key: "tea",
  });
  const customer = await stripe.customers.create({
    email: "ada@example.com", payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id, quantity: 2 }], metadata: { a: "b" },
    expand: [basil ? "latest_invoice.payments" : "latest_invoice.payment_intent"],
  });
  const invoice = subscription.latest_invoice;
  assert.deepEqual([subscription.status, invoice.status, invoice.total], ["active", "paid", 2400]);
  const month = basil ? subscription.items.data[0] : subscription;
  const days = (month.current_period_end - month.current_period_start) / 86400;
  assert.ok(days >= 28 && days <= 31, `${days} days`);
  if (basil) {
    assert.equal(invoice.payments.data[0].status, "paid");
    assert.equal(invoice.parent.subscription_details.subscription, subscription.id);
    assert.equal("payment_intent" in invoice, false);
  } else {
    assert.equal(invoice.payment_intent.amount_received, 2400);
    assert.deepEqual([invoice.subscription, invoice.paid], [subscription.id, true]);
  }
  assert.deepEqual((await all(stripe.invoices.list({ customer: customer.id }))).map(({ id }) => id), [invoice.id]);

  const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true, metadata: { a: "" } });
  assert.deepEqual([ending.cancel_at_period_end, ending.metadata], [true, {}]);
  assert.equal((await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false })).cancel_at, null);
  // Until version 11 the method was called `del`.
  const ended = await (stripe.subscriptions.cancel ?? stripe.subscriptions.del).call(stripe.subscriptions, subscription.id);
  assert.equal(ended.status, "canceled");

  const session = await stripe.checkout.sessions.create({
    mode: "subscription", customer: customer.id, line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://shop.example/ok", cancel_url: "https://shop.example/no",
  });
  assert.deepEqual([session.status, session.payment_status, session.amount_total], ["open", "unpaid", 1200]);
  const lines = await all(stripe.checkout.sessions.listLineItems(session.id));
  assert.deepEqual(lines.map((line) => line.price.id), [price.id]);
  assert.equal((await stripe.checkout.sessions.expire(session.id)).status, "expired");
  assert.ok((await stripe.billingPortal.sessions.create({ customer: customer.id, return_url: "https://a.example" })).url);

  const intent = await stripe.paymentIntents.create({
    amount: 500, currency: "usd", customer: customer.id, payment_method: "pm_card_visa", confirm: true,
    return_url: "https://shop.example",
  });
  assert.equal(intent.status, "succeeded");
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 200 });
  assert.deepEqual([refund.status, refund.payment_intent], ["succeeded", intent.id]);

  for (let number = 0; number < 5; number++) await stripe.products.create({ name: `Tea ${number}` });
  const names = (await all(stripe.products.list({ limit: 2 }))).map(({ name }) => name);
  assert.deepEqual(names, ["Tea 4", "Tea 3", "Tea 2", "Tea 1", "Tea 0", "Tea"]);
  const found = await stripe.customers.search({ query: "email:'ada@example.com'" });
  assert.deepEqual(found.data.map(({ id }) => id), [customer.id]);

  const once = { idempotencyKey: "the-same-key" };
  const [first, again] = await Promise.all([
    stripe.customers.create({ email: "b@example.com" }, once), stripe.customers.create({ email: "b@example.com" }, once),
  ]);
  assert.equal(first.id, again.id);
  const refused = (promise, fields) => assert.rejects(promise, (error) => {
    for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value, `${name}: ${error.message}`);
    return Boolean(error.requestId);
  });
  const wrong = "StripeInvalidRequestError";
  await refused(stripe.customers.retrieve("cus_nobody"), { type: wrong, code: "resource_missing", param: "id", statusCode: 404 });
  await refused(stripe.customers.create({ colour: "blue" }), { type: wrong, code: "parameter_unknown", param: "colour" });
  await refused(stripe.customers.create({ email: "c@example.com" }, once), { type: "StripeIdempotencyError" });
  await refused(stripe.customers.list({}, { apiKey: "wrong" }), { type: "StripeAuthenticationError", statusCode: 401 });
  await refused(
    stripe.paymentIntents.create({
      amount: 500, currency: "usd", confirm: true, payment_method: "pm_card_chargeDeclinedInsufficientFunds",
      return_url: "https://shop.example",
    }),
    { type: "StripeCardError", code: "card_declined", decline_code: "insufficient_funds", statusCode: 402 },
  );

  const events = await stripe.events.list({ type: "customer.subscription.deleted" });
  assert.deepEqual(events.data.map((event) => event.data.object.id), [subscription.id]);
  const payload = JSON.stringify(events.data[0]);
  const header = stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_x" });
  assert.equal(stripe.webhooks.constructEvent(payload, header, "whsec_x").data.object.id, subscription.id);
  console.log("content");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
