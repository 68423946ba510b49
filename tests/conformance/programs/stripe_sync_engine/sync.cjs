// Have @supabase/stripe-sync-engine, unmodified, fill a PostgreSQL database from the offline Stripe:
// `node sync.cjs URL DATABASE_URL backfill|webhooks`. It prints its tables as JSON.
// Its types are those of Stripe's libraries before version 21, which made decimals of its strings.
// It has no option for Stripe's address: its public `stripe` is made again with the library's own options for it.
const http = require("node:http");
const { Client } = require("pg");
const Stripe = require("stripe");
const { StripeSync, runMigrations } = require("@supabase/stripe-sync-engine");

const [url, databaseUrl, task] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const key = "sk_test_123456789012345678901234";
const secret = "whsec_of_the_sync_engine";
const apiVersion = "2020-08-27"; // its default, as its README says

async function webhooks(sync, stripe) {
  const failed = [];
  const types = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    try {
      await sync.processWebhook(body, request.headers["stripe-signature"]);
      types.push(JSON.parse(body).type);
    } catch (error) {
      // It throws at events of types that it does not know, which an endpoint would not ask for.
      if (error.message !== "Unhandled webhook event") failed.push(`${JSON.parse(body).type}: ${error.message}`);
    }
    response.end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const endpoint = await stripe.webhookEndpoints.create({
    url: `http://127.0.0.1:${server.address().port}/`, enabled_events: ["*"], api_version: apiVersion,
  });
  sync.config.stripeWebhookSecret = endpoint.secret;
  const customer = await stripe.customers.create({
    email: "ada@example.com", payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const product = await stripe.products.create({ name: "Tea" });
  const price = await stripe.prices.create({
    product: product.id, currency: "usd", unit_amount: 900, recurring: { interval: "month" },
  });
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const session = await stripe.checkout.sessions.create({
    mode: "subscription", line_items: [{ price: price.id, quantity: 1 }], success_url: "https://shop.example",
    cancel_url: "https://shop.example",
  });
  await stripe.checkout.sessions.expire(session.id);
  await stripe.subscriptions.cancel(subscription.id);
  for (let waited = 0; waited < 600; waited++) {
    const { data } = await (await fetch(`${url}/_sandbox/deliveries`)).json();
    if (data.every(({ status }) => status !== "pending")) break;
    await new Promise((later) => setTimeout(later, 50));
  }
  server.close();
  server.closeAllConnections();
  return { failed, types };
}

async function main() {
  await runMigrations({ databaseUrl, schema: "stripe" });
  const sync = new StripeSync({
    stripeSecretKey: key, stripeWebhookSecret: secret, stripeApiVersion: apiVersion, autoExpandLists: true,
    // Events of one second are in no order for it, so it asks for what several of them tell of.
    revalidateObjectsViaStripeApi: ["charge", "customer", "invoice", "payment_intent", "subscription"],
    backfillRelatedEntities: true, poolConfig: { connectionString: databaseUrl, max: 4 },
  });
  sync.stripe = new Stripe(key, { apiVersion, host: hostname, port, protocol: "http", telemetry: false });
  const told = task === "webhooks" ? await webhooks(sync, sync.stripe) : await sync.syncBackfill({ object: "all" });
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows: names } = await client.query(
    "select table_name from information_schema.tables where table_schema = 'stripe' and table_name <> 'migrations'",
  );
  const tables = {};
  for (const { table_name: name } of names) {
    const { rows } = await client.query(`select row_to_json(each) as kept from stripe.${name} each`);
    tables[name] = rows.map(({ kept }) => kept);
  }
  await client.end();
  await sync.close();
  console.log(JSON.stringify({ told, tables }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
