// What the providers' own libraries read in the tokens that the tests sign for them, and that they refuse others.
//
// node verify.mjs <JSON: of each provider its token, and where its keys and its issuer are>
import { verifyToken } from "@clerk/backend";
import { AuthClient } from "@supabase/auth-js";
import { auth } from "express-oauth2-jwt-bearer";

const given = JSON.parse(process.argv[2]);
const libraries = {
  /** Auth0's for Express. */
  async Auth0({ token, jwks, issuer, audience }) {
    const request = { headers: { authorization: `Bearer ${token}` }, is: () => false, query: {}, method: "GET" };
    const check = auth({ jwksUri: jwks, issuer, audience });
    await new Promise((done, failed) => check(request, {}, (error) => (error ? failed(error) : done())));
    return request.auth.payload;
  },
  /** Clerk's for back ends, with the key as it stands in its dashboard. */
  Clerk: ({ token, key }) => verifyToken(token, { jwtKey: key, authorizedParties: ["https://app.example.com"] }),
  /** Supabase's for pages and servers. */
  async Supabase({ token, jwks, issuer }) {
    const client = new AuthClient({ url: issuer, autoRefreshToken: false, persistSession: false });
    const { data, error } = await client.getClaims(token, { jwks: await (await fetch(jwks)).json() });
    if (error) throw error;
    return data.claims;
  },
};

const found = {};
for (const [name, read] of Object.entries(libraries)) {
  const { sub } = await read(given[name]);
  const [head, claims, signature] = given[name].token.split(".");
  const forged = [head, claims, `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`].join(".");
  const refused = await read({ ...given[name], token: forged }).then(() => false, () => true);
  found[name] = { sub, refused };
}
console.log(JSON.stringify(found));
process.exit();
