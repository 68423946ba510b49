// Clients that others wrote, each as its documentation shows it: a query by POST, a query by GET where the client can,
// a mutation as a signed-in user, and a document that is refused. What each of them got, as JSON. Apollo's link for
// persisted queries also says which requests carried a document.
//
// node clients.mjs <url of /graphql> <bearer token> <id of a price>
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, cacheExchange, fetchExchange } from "@urql/core";
import { parse, print } from "graphql";
import { GraphQLClient } from "graphql-request";
import relay from "relay-runtime";

const [url, token, priceId] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const operations = parse(readFileSync(new URL("operations.graphql", import.meta.url), "utf8"));
const [plans, checkout] = operations.definitions.map(print);
const wanted = { first: 2 };
const bought = {
  input: { lineItems: [{ priceId }], successUrl: "https://shop.example/paid", idempotencyKey: "one-purchase" },
};
const wrong = "query Wrong { plans { nothing } }";

async function apollo(useGETForQueries) {
  const client = new ApolloClient({
    link: ApolloLink.from([new HttpLink({ uri: url, headers, useGETForQueries })]),
    cache: new InMemoryCache(),
  });
  const refused = await client.query({ query: gql(wrong), errorPolicy: "all" });
  return {
    query: (await client.query({ query: gql(plans), variables: wanted })).data,
    mutation: (await client.mutate({ mutation: gql(checkout), variables: bought })).data,
    refused: refused.error.errors[0].extensions.code,
  };
}

async function apolloByHash(useGETForHashedQueries) {
  const sent = [];
  const watched = (address, options) => {
    sent.push(`${options.method} ${/[?&{"]query[="]/.test(`${address} ${options.body}`) ? "document" : "hash"}`);
    return fetch(address, options);
  };
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const client = new ApolloClient({
    link: ApolloLink.from([
      new PersistedQueryLink({ sha256, useGETForHashedQueries }),
      new HttpLink({ uri: url, headers, fetch: watched }),
    ]),
    cache: new InMemoryCache(),
  });
  const ask = () => client.query({ query: gql(plans), variables: wanted, fetchPolicy: "network-only" });
  await ask();
  const query = (await ask()).data;
  const refused = await client.query({ query: gql(wrong), errorPolicy: "all" });
  return {
    query,
    sent: sent.slice(0, 3),
    mutation: (await client.mutate({ mutation: gql(checkout), variables: bought })).data,
    refused: refused.error.errors[0].extensions.code,
  };
}

async function urql(preferGetMethod) {
  const client = new Client({ url, exchanges: [cacheExchange, fetchExchange], fetchOptions: { headers }, preferGetMethod });
  return {
    query: (await client.query(plans, wanted)).data,
    mutation: (await client.mutation(checkout, bought)).data,
    refused: (await client.query(wrong, {})).error.graphQLErrors[0].extensions.code,
  };
}

async function graphqlRequest(method) {
  const client = new GraphQLClient(url, { headers, method });
  return {
    query: await client.request(plans, wanted),
    mutation: await new GraphQLClient(url, { headers }).request(checkout, bought),
    refused: await client.request(wrong).catch((error) => error.response.errors[0].extensions.code),
  };
}

// Relay's network layer: the function that its documentation gives, behind its own Network with its own error handling.
async function relayNetwork() {
  const network = relay.Network.create(async ({ text, name }, variables) => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ query: text, operationName: name, variables }),
    });
    return answer.json();
  });
  const send = (name, operationKind, text, variables) =>
    network.execute({ name, operationKind, text, id: null, cacheID: name, metadata: {} }, variables, {}).toPromise();
  return {
    query: (await send("Plans", "query", plans, wanted)).data,
    mutation: (await send("Checkout", "mutation", checkout, bought)).data,
    refused: (await send("Wrong", "query", wrong, {})).errors[0].extensions.code,
  };
}

const clients = {
  "Apollo Client": () => apollo(false),
  "Apollo Client by GET": () => apollo(true),
  "Apollo Client by hash": () => apolloByHash(false),
  "Apollo Client by hash and GET": () => apolloByHash(true),
  urql: () => urql(false),
  "urql by GET": () => urql(true),
  "graphql-request": () => graphqlRequest("POST"),
  "graphql-request by GET": () => graphqlRequest("GET"),
  Relay: relayNetwork,
};
const got = {};
for (const [name, run] of Object.entries(clients)) got[name] = await run().catch((error) => ({ failed: String(error.stack) }));
console.log(JSON.stringify(got));
