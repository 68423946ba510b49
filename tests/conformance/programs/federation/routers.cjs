// Composes the gateway with the graph of an application, and asks Apollo's router and Hive's for both at once.
//
// node routers.cjs <url of /graphql> <bearer token> <token of the back end> <JSON of ids: product, invoice> <another graph>
const { createServer } = require("node:http");
const { composeServices } = require("@apollo/composition");
const { ApolloGateway, IntrospectAndCompose, RemoteGraphQLDataSource } = require("@apollo/gateway");
const { buildSubgraphSchema } = require("@apollo/subgraph");
const { createGatewayRuntime } = require("@graphql-hive/gateway-runtime");
const { graphql, parse } = require("graphql");

const [url, token, service, json, another] = process.argv.slice(2);
const ids = JSON.parse(json);

// What an application has of its own: users, reviews of products, and notes to invoices.
const typeDefs = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])
  interface Node { id: ID! }
  type Query { users: [User!]!  bookings: [Booking!]!  node(id: ID!): Node }
  type User implements Node @key(fields: "id") { id: ID!  name: String!  billing: Customer  bestSeller: Product }
  type Booking { note: String!  invoice: Invoice }
  type Customer @key(fields: "externalId", resolvable: false) { externalId: ID! }
  type Invoice @key(fields: "id", resolvable: false) { id: ID! }
  type Product @key(fields: "id") { id: ID!  reviews: [String!]! }
  type PageInfo @shareable { hasNextPage: Boolean!  hasPreviousPage: Boolean!  startCursor: String  endCursor: String }
`);
const users = ["ada", "eve"].map((id) => ({
  id,
  name: id.toUpperCase(),
  billing: { externalId: id },
  bestSeller: { id: ids.product },
}));
const resolvers = {
  Query: { users: () => users, bookings: () => [{ note: "paid", invoice: { id: ids.invoice } }] },
  Product: { __resolveReference: ({ id }) => ({ id }), reviews: () => ["good"] },
};
const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);
const asked = [];
const application = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const { query, variables } = JSON.parse(body);
  const result = await graphql({ schema, source: query, variableValues: variables });
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(result));
});
const query = `{
  users { name billing { id externalId subscription { status } } bestSeller { name reviews plans { interval } } }
  bookings { note invoice { id total { amount } } }
  products(first: 1) { nodes { id reviews } pageInfo { hasNextPage } }
  viewer { id customer { id } }
}`;

main().then(() => process.exit(), (error) => {
  console.error(error);
  process.exit(1);
});

async function main() {
  await new Promise((resolve) => application.listen(0, "127.0.0.1", resolve));
  // Apollo's: composition first, as `rover` does it, then a plan for each query.
  const gateway = new ApolloGateway({
    supergraphSdl: new IntrospectAndCompose({
      subgraphs: [
        { name: "billing", url },
        { name: "application", url: `http://127.0.0.1:${application.address().port}` },
      ],
    }),
    buildService: ({ name, url }) =>
      new RemoteGraphQLDataSource({
        url,
        // Once more where a server has closed the connection meanwhile: composing takes long on a busy machine.
        fetcher: (...asked) => fetch(...asked).catch(() => fetch(...asked)),
        willSendRequest({ request, context }) {
          if (name === "billing" && context.token) request.http.headers.set("authorization", `Bearer ${context.token}`);
          if (name === "billing" && context.token !== undefined) asked.push(request.query);
        },
      }),
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
  });
  const { schema: api, executor } = await gateway.load();
  const { supergraphSdl } = gateway.__testing();

  async function apollo(token) {
    const context = { token };
    const request = { query, http: { headers: new Map() } };
    const parts = { document: parse(query), request, queryHash: token, context, cache: new Map(), schema: api };
    const ofAServer = { logger: console, overallCachePolicy: { policyIfCacheable() {} }, metrics: {} };
    const { data, errors } = await executor({ ...parts, ...ofAServer });
    return { data, errors };
  }

  const hive = createGatewayRuntime({
    supergraph: supergraphSdl,
    logging: false,
    maskedErrors: false,
    propagateHeaders: {
      fromClientToSubgraphs: ({ request, subgraphName }) =>
        /billing/i.test(subgraphName) ? { authorization: request.headers.get("authorization") ?? undefined } : {},
    },
  });

  async function ofHive(token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await hive.fetch("http://hive/graphql", { method: "POST", headers, body: JSON.stringify({ query }) });
    return response.json();
  }

  const found = {};
  for (const [name, ask] of Object.entries({ apollo, hive: ofHive })) {
    found[name] = { guest: await ask(""), ada: await ask(token), service: await ask(service) };
  }
  console.log(JSON.stringify({ ...found, asked, composed: await composed() }));
}

// What is wrong with the gateway and another graph together, by Apollo's composition; nothing.
async function composed() {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ query: "{ _service { sdl } }" });
  const { data } = await (await fetch(url, { method: "POST", headers, body })).json();
  const graphs = { billing: data._service.sdl, application: another };
  const services = Object.entries(graphs).map(([name, sdl]) => ({ name, typeDefs: parse(sdl) }));
  return (composeServices(services).errors ?? []).map(({ message }) => message);
}
