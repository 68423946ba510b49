// Clients that others wrote, each as its documentation shows it, over graphql-transport-ws or server-sent events: each
// follows one checkout until it is complete. When all of them have seen it open, a line says so; then, as JSON, what each of them got.
//
// node live.mjs <url of /graphql> <secret that signs tokens> <id of a session> <id of a price>
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { parse, print } from "graphql";
import { createClient as createEventClient } from "graphql-sse";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";

const [url, secret, id, priceId] = process.argv.slice(2);
const operations = parse(readFileSync(new URL("operations.graphql", import.meta.url), "utf8"));
const operation = (name) => print(operations.definitions.find((definition) => definition.name.value === name));
const follow = operation("Follow");
const wanted = { id };

/** What a provider would give a user, for so many seconds from now. */
function token(seconds) {
  const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "user_ada", exp: Math.floor(Date.now() / 1000) + seconds };
  const signed = `${base64({ alg: "HS256", typ: "JWT" })}.${base64(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const connect = (connectionParams = () => ({ Authorization: `Bearer ${token(600)}` })) =>
  createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams, retryWait: async () => {} });

let open = 0;
const all = 8;

/** Collects the states that a client is told of, until the last. */
const collector = (resolve, states = []) => ({
  next(data) {
    states.push(data.sessionUpdated.status);
    if (states.length === 1 && ++open === all) console.log("open");
    if (states.at(-1) === "COMPLETE") resolve(states);
  },
});

async function graphqlWs() {
  const client = connect();
  const once = async (query, variables) => (await client.iterate({ query, variables }).next()).value;
  const bought = { input: { lineItems: [{ priceId }], successUrl: "https://shop.example/paid" } };
  return {
    query: (await once(operation("Plans"), { first: 2 })).data,
    mutation: (await once(operation("Checkout"), bought)).data,
    refused: await once("{ plans { nothing } }").catch((errors) => errors[0].extensions.code),
    states: await new Promise((resolve, reject) => {
      const { next } = collector(resolve);
      client.subscribe({ query: follow, variables: wanted }, { next: ({ data }) => next(data), error: reject, complete() {} });
    }),
  };
}

// The token ends while it listens: the client is told by the code, comes with another one, and misses nothing.
async function renewing() {
  const lives = [-7, 600]; // the first has three seconds left of the ten by which clocks may differ
  const closed = [];
  const client = connect(async () => ({ Authorization: `Bearer ${token(lives.shift())}` }));
  client.on("closed", ({ code, reason }) => closed.push([code, reason]));
  const got = [];
  await new Promise((resolve, reject) => {
    const next = ({ data }) => {
      got.push(data.sessionUpdated.status);
      if (got.length === 2 && ++open === all) console.log("open");
      if (got.at(-1) === "COMPLETE") resolve();
    };
    client.subscribe({ query: follow, variables: wanted }, { next, error: reject, complete() {} });
  });
  return { states: got, closed };
}

async function graphqlSse() {
  const client = createEventClient({ url, headers: () => ({ Authorization: `Bearer ${token(600)}` }) });
  const once = async (query, variables) => (await client.iterate({ query, variables }).next()).value;
  return {
    query: (await once(operation("Plans"), { first: 2 })).data,
    refused: (await once("{ plans { nothing } }")).errors[0].extensions.code,
    states: await new Promise((resolve, reject) => {
      const { next } = collector(resolve);
      client.subscribe({ query: follow, variables: wanted }, { next: ({ data }) => next(data), error: reject, complete() {} });
    }),
  };
}

// The same as `renewing`: a stream that ends without a `complete` is begun again, with another token.
async function renewingByEvents() {
  const lives = [-7, 600];
  const headers = () => ({ Authorization: `Bearer ${token(lives.shift())}` });
  const client = createEventClient({ url, headers, retry: async () => {} });
  const got = [];
  await new Promise((resolve, reject) => {
    const next = ({ data }) => {
      got.push(data.sessionUpdated.status);
      if (got.length === 2 && ++open === all) console.log("open");
      if (got.at(-1) === "COMPLETE") resolve();
    };
    client.subscribe({ query: follow, variables: wanted }, { next, error: reject, complete() {} });
  });
  return { states: got, tokens: 2 - lives.length };
}

const urqlByEvents = () =>
  new Promise((resolve) => {
    const fetchOptions = () => ({ headers: { Authorization: `Bearer ${token(600)}` } });
    const options = { fetchSubscriptions: true, fetchOptions, preferGetMethod: false };
    const client = new Client({ url, exchanges: [fetchExchange], ...options });
    const { next } = collector((states) => resolve({ states }));
    client.subscription(follow, wanted).subscribe(({ data }) => data && next(data));
  });

const apollo = () =>
  new Promise((resolve, reject) => {
    const client = new ApolloClient({ link: new GraphQLWsLink(connect()), cache: new InMemoryCache() });
    const { next } = collector((states) => resolve({ states }));
    client.subscribe({ query: gql(follow), variables: wanted }).subscribe({ next: ({ data }) => next(data), error: reject });
  });

const urql = () =>
  new Promise((resolve) => {
    const socket = connect();
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    });
    const client = new Client({ url, exchanges: [subscriptionExchange({ forwardSubscription })], preferGetMethod: false });
    const { next } = collector((states) => resolve({ states }));
    client.subscription(follow, wanted).subscribe(({ data }) => next(data));
  });

const relayNetwork = () =>
  new Promise((resolve, reject) => {
    const socket = connect();
    const subscribe = ({ name, text }, variables) =>
      relay.Observable.create((sink) => socket.subscribe({ operationName: name, query: text, variables }, sink));
    const network = relay.Network.create(() => {}, subscribe);
    const request = { name: "Follow", operationKind: "subscription", text: follow, id: null, cacheID: "Follow", metadata: {} };
    const { next } = collector((states) => resolve({ states }));
    network.execute(request, wanted, {}).subscribe({ next: ({ data }) => next(data), error: reject });
  });

const clients = {
  "graphql-ws": graphqlWs,
  "graphql-ws renewing": renewing,
  "graphql-sse": graphqlSse,
  "graphql-sse renewing": renewingByEvents,
  "urql by events": urqlByEvents,
  Apollo: apollo,
  urql,
  Relay: relayNetwork,
};
const failed = (error) => ({ failed: String(error?.stack ?? JSON.stringify(error)) });
const got = await Promise.all(Object.entries(clients).map(async ([name, run]) => [name, await run().catch(failed)]));
console.log(JSON.stringify(Object.fromEntries(got)));
process.exit();
