// A shop with @better-auth/stripe, unmodified: `node shop.mjs URL`. Its customer subscribes, upgrades, plans a downgrade
// and takes it back, plans it again and gets it, cancels and goes on. Any disagreement throws.
// It takes a client of Stripe's library, which finds the offline Stripe by its own options.
import assert from "node:assert/strict";
import http from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { stripe as stripePlugin } from "@better-auth/stripe";
import Stripe from "stripe";

const offline = process.argv[2];
const { hostname, port } = new URL(offline);
const stripe = new Stripe("sk_test_123456789012345678901234", { host: hostname, port, protocol: "http", telemetry: false });

const product = await stripe.products.create({ name: "Tea" });
const monthly = { product: product.id, currency: "usd", recurring: { interval: "month" } };
const starter = await stripe.prices.create({ ...monthly, unit_amount: 900 });
const pro = await stripe.prices.create({ ...monthly, unit_amount: 2900, lookup_key: "pro" });

let auth;
const server = http.createServer((request, response) => toNodeHandler(auth)(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const shop = `http://127.0.0.1:${server.address().port}`;
const endpoint = await stripe.webhookEndpoints.create({
  url: `${shop}/api/auth/stripe/webhook`,
  enabled_events: [
    "checkout.session.completed", "customer.subscription.created", "customer.subscription.updated",
    "customer.subscription.deleted",
  ],
});
const database = { user: [], session: [], account: [], verification: [], subscription: [] };
auth = betterAuth({
  baseURL: shop,
  secret: "a secret of this test, of enough characters",
  database: memoryAdapter(database),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    stripePlugin({
      stripeClient: stripe,
      stripeWebhookSecret: endpoint.secret,
      createCustomerOnSignUp: true,
      subscription: {
        enabled: true,
        plans: [{ name: "starter", priceId: starter.id }, { name: "pro", lookupKey: "pro" }],
      },
    }),
  ],
});

let cookie = "";
async function ask(method, path, body) {
  const answer = await fetch(`${shop}/api/auth${path}`, {
    method, redirect: "manual", body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json", Origin: shop, Cookie: cookie },
  });
  const set = answer.headers.getSetCookie();
  if (set.length) cookie = set.map((each) => each.split(";")[0]).join("; ");
  const text = await answer.text();
  assert.ok(answer.status < 400, `${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : answer.headers.get("location");
}

// What a browser does on a hosted page: follow it to where it leads, and send its form.
async function consent(url, fields = {}) {
  const page = await fetch(url);
  assert.equal(page.status, 200, url);
  const sent = await fetch(page.url, {
    method: "POST", redirect: "manual", body: new URLSearchParams(fields), headers: { Origin: offline },
  });
  assert.equal(sent.status, 303, await sent.text());
  return sent.headers.get("location");
}

// All that was sent has been answered well.
async function delivered() {
  for (let waited = 0; waited < 400; waited++) {
    const { data } = await (await fetch(`${offline}/_sandbox/deliveries`)).json();
    if (data.every(({ status }) => status !== "pending")) {
      assert.deepEqual(data.filter(({ status }) => status !== "delivered"), []);
      return;
    }
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error("some deliveries are still on their way");
}

async function mine() {
  await delivered();
  const [subscription, ...others] = await ask("GET", "/subscription/list");
  assert.deepEqual(others, []);
  return subscription;
}

const change = (body) => ask("POST", "/subscription/upgrade", { successUrl: "/done", cancelUrl: "/", returnUrl: "/account", ...body });
const atStripe = async () => (await stripe.subscriptions.list({ customer: customer.id })).data[0];

await ask("POST", "/sign-up/email", { email: "ada@example.com", password: "correct horse battery", name: "Ada" });
const [customer] = (await stripe.customers.list({ email: "ada@example.com" })).data;
assert.equal(database.user[0].stripeCustomerId, customer.id);

// Subscribe
const card = { card_number: "4242 4242 4242 4242", card_expiry: "12 / 34", card_cvc: "123", name: "Ada", action: "pay" };
const success = await consent((await change({ plan: "starter" })).url, card);
await delivered();
assert.match(await (await fetch(success, { redirect: "manual", headers: { Cookie: cookie } })).headers.get("location"), /\/done$/);
let subscription = await mine();
assert.deepEqual([subscription.plan, subscription.status, subscription.seats], ["starter", "active", 1]);
const first = await atStripe();
assert.equal(subscription.stripeSubscriptionId, first.id);
assert.equal(new Date(subscription.periodEnd).getTime() / 1000, first.items.data[0].current_period_end);
await assert.rejects(change({ plan: "starter" }), /already subscribed/i);

// Upgrade, by the portal's page
await consent((await change({ plan: "pro" })).url);
assert.equal((await mine()).plan, "pro");
assert.equal((await atStripe()).items.data[0].price.id, pro.id);

// A downgrade at the end of the period, taken back
await change({ plan: "starter", scheduleAtPeriodEnd: true });
subscription = await mine();
assert.deepEqual([subscription.plan, (await atStripe()).schedule], ["pro", subscription.stripeScheduleId]);
await ask("POST", "/subscription/restore", { subscriptionId: first.id });
const released = await stripe.subscriptionSchedules.retrieve(subscription.stripeScheduleId);
assert.deepEqual([released.status, released.released_subscription], ["released", first.id]);
assert.deepEqual([(await mine()).stripeScheduleId ?? null, (await atStripe()).schedule], [null, null]);

// And planned again, and come
await change({ plan: "starter", scheduleAtPeriodEnd: true });
assert.equal((await mine()).plan, "pro");
const month = await fetch(`${offline}/_sandbox/clock/advance`, {
  method: "POST", body: JSON.stringify({ by: 32 * 24 * 3600 }), headers: { "Content-Type": "application/json" },
});
assert.equal(month.status, 200);
subscription = await mine();
assert.equal(subscription.plan, "starter");
const renewed = (await stripe.invoices.list({ customer: customer.id })).data[0];
assert.deepEqual([renewed.billing_reason, renewed.status], ["subscription_cycle", "paid"]);
const lines = renewed.lines.data.filter((line) => !line.parent.subscription_item_details.proration);
assert.deepEqual(lines.map((line) => [line.amount, line.pricing.price_details.price]), [[900, starter.id]]);

// Cancel, by the portal's page, and go on
await consent((await ask("POST", "/subscription/cancel", { returnUrl: "/account" })).url);
subscription = await mine();
assert.ok(subscription.cancelAt || subscription.cancelAtPeriodEnd);
await ask("POST", "/subscription/restore", { subscriptionId: first.id });
subscription = await mine();
assert.deepEqual([subscription.cancelAt ?? null, subscription.cancelAtPeriodEnd], [null, false]);
const going = await atStripe();
assert.deepEqual([going.status, going.cancel_at, going.cancel_at_period_end], ["active", null, false]);

server.close();
server.closeAllConnections();
console.log("content");
