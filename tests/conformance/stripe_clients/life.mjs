// The official Node SDK, unmodified, against the offline Stripe: catalogue, customer, subscription, invoice, paging,
// errors, idempotency, search. Any disagreement throws.
import assert from "node:assert/strict";
import Stripe from "stripe";

const { hostname, port } = new URL(process.argv[2]);
const stripe = new Stripe("sk_test_1234567890123456", { host: hostname, port, protocol: "http", telemetry: false });

const product = await stripe.products.create({ name: "Tea", metadata: { sort_order: "1" } });
const price = await stripe.prices.create({
  product: product.id, currency: "usd", unit_amount: 1200, recurring: { interval: "month" }, lookup_key: "tea",
});
const customer = await stripe.customers.create({
  email: "ada@example.com", payment_method: "pm_card_visa",
  invoice_settings: { default_payment_method: "pm_card_visa" },
});
const subscription = await stripe.subscriptions.create({
  customer: customer.id, items: [{ price: price.id, quantity: 2 }], expand: ["latest_invoice.payments"],
});
assert.equal(subscription.status, "active");
assert.equal(subscription.latest_invoice.status, "paid");
assert.equal(subscription.latest_invoice.total, 2400);
assert.equal(subscription.items.data[0].current_period_end > subscription.created, true);

const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
assert.equal(ending.cancel_at_period_end, true);
const ended = await stripe.subscriptions.cancel(subscription.id);
assert.equal(ended.status, "canceled");

const once = { idempotencyKey: "the-same-key" };
const [first, again] = await Promise.all([
  stripe.customers.create({ email: "twice@example.com" }, once),
  stripe.customers.create({ email: "twice@example.com" }, once),
]);
assert.equal(first.id, again.id);
await assert.rejects(
  stripe.customers.create({ email: "other@example.com" }, once), (error) => error.type === "StripeIdempotencyError",
);
await assert.rejects(stripe.customers.retrieve("cus_nobody"), (error) => error.code === "resource_missing");
await assert.rejects(
  stripe.customers.create({ colour: "blue" }), (error) => error.code === "parameter_unknown" && error.param === "colour",
);

for (let number = 0; number < 5; number++) await stripe.products.create({ name: `Tea ${number}` });
const names = [];
for await (const found of stripe.products.list({ limit: 2 })) names.push(found.name);
assert.deepEqual(names, ["Tea 4", "Tea 3", "Tea 2", "Tea 1", "Tea 0", "Tea"]);

const found = await stripe.customers.search({ query: "email:'ada@example.com'" });
assert.deepEqual(found.data.map(({ id }) => id), [customer.id]);
const events = await stripe.events.list({ type: "customer.subscription.deleted" });
assert.equal(events.data.length, 1);

console.log("the Node SDK is content");
