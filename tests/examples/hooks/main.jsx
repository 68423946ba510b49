// What each hook gives, written down for test_hooks.py, which drives it by `window`.
import { Component, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { BillingProvider, useAccess, useBilling, useBillingLive, useBillingQuery } from "billing-gateway-web/react";

const MINE = { text: "query Mine { viewer { id } }" };
const PLAN = { text: "query Plan($id: ID!) { plan(id: $id) { id } }" };
const LIVE = { text: "subscription { viewerUpdated { subscription { status } } }" };
const WRONG = { text: "{ nothing }" };

function Shown() {
  const [id, setId] = useState("none");
  const shown = {
    url: useBilling().url,
    mine: useBillingQuery(MINE),
    plan: useBillingQuery(PLAN, { id }), // a new object each time: it is asked anew only where what it says is new
    wrong: useBillingQuery(WRONG),
    live: useBillingLive(LIVE, {}),
    access: useAccess("automation"),
  };
  Object.assign(window, { setId, reload: shown.access.reload, shown, drawn: (window.drawn ?? 0) + 1 });
  return null;
}

class Fence extends Component {
  state = {};
  static getDerivedStateFromError = ({ message }) => ({ message });
  render = () => (this.state.message ? <p>{this.state.message}</p> : this.props.children);
}

const Lost = () => useBilling() && null;

function Page() {
  const [user, setUser] = useState(null);
  const [isThere, setIsThere] = useState(true);
  const token = () => (user ? sessionStorage.getItem(user) : null);
  Object.assign(window, { setUser, setIsThere });
  return (
    <>
      <BillingProvider url={new URLSearchParams(location.search).get("gateway")} token={token} user={user}>
        {isThere && <Shown />}
      </BillingProvider>
      <Fence>
        <Lost />
      </Fence>
    </>
  );
}

createRoot(document.getElementById("root")).render(<StrictMode><Page /></StrictMode>);
