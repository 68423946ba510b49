// The reference audit of GraphQL over HTTP (npm `graphql-http`) against the endpoint named on the command line;
// its findings as JSON.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
