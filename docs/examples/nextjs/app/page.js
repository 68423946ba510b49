"use client";

import { AccessGate, BillingProvider, CheckoutStatus, PricingTable } from "billing-gateway-web/react";

const gateway = "http://127.0.0.1:8000";

// Your identity provider's token; here that of a sample user of `gateway dev`.
async function token() {
  const answer = await fetch(`${gateway}/dev/sign-in`, { method: "POST", body: '{"email": "ada@example.com"}' });
  return (await answer.json()).token;
}

export default function Page() {
  return (
    <BillingProvider url={gateway} token={token}>
      <h1>My application</h1>
      <CheckoutStatus />
      <AccessGate feature="automation" live>
        <p>Automation is yours.</p>
        <p slot="denied">Automation comes with the plan Pro.</p>
      </AccessGate>
      <PricingTable />
    </BillingProvider>
  );
}
