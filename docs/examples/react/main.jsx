import { AccessGate, BillingProvider, CheckoutStatus, PricingTable } from "billing-gateway-web/react";
import { createRoot } from "react-dom/client";

const gateway = "http://127.0.0.1:8000";

// Your identity provider's token; here that of a sample user of `gateway dev`.
const signIn = fetch(`${gateway}/dev/sign-in`, { method: "POST", body: '{"email": "ada@example.com"}' });
const session = signIn.then((response) => response.json());
const token = async () => (await session).token;

function App() {
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

createRoot(document.getElementById("root")).render(<App />);
