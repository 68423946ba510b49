// better-auth with its plugin `jwt`, as docs/sign-in.md has it: somebody signs up, and what the browser gets is printed.
// It goes on answering until its standard input ends: node better_auth.mjs
import http from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

let auth;
const server = http.createServer((request, response) => toNodeHandler(auth)(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const baseURL = `http://127.0.0.1:${server.address().port}`;
auth = betterAuth({
  baseURL,
  secret: "a secret of this test, of enough characters",
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [jwt()],
});

const headers = { "Content-Type": "application/json", Origin: baseURL };
const body = JSON.stringify({ email: "ada@example.com", password: "a long password", name: "Ada" });
const signedUp = await fetch(`${baseURL}/api/auth/sign-up/email`, { method: "POST", headers, body });
const { user, token: session } = await signedUp.json();
headers.Cookie = signedUp.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
const { token } = await (await fetch(`${baseURL}/api/auth/token`, { headers })).json();
console.log(JSON.stringify({ baseURL, user: user.id, session, token }));
process.stdin.resume().on("end", () => process.exit());
