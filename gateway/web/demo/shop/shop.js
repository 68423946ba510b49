// Entry: shows the price list, or what became of a checkout that sent the buyer back. Both are elements of the gateway.

import "../common/billing.js";
import { discloseWhatIsLoaded } from "../common/disclosure.js";
import { h } from "../common/dom.js";
import { text, translatePage } from "../common/language.js";

const pricing = document.getElementById("pricing");

// What the buyer looks at. It is kept in the address, so that it can be shared and survives the checkout.
const view = Object.fromEntries(new URLSearchParams(location.search));

function showPricing() {
  if ("canceled" in view) {
    const notice = document.getElementById("notice");
    notice.textContent = text("shop.canceled");
    notice.hidden = false;
    delete view.canceled;
    remember();
  }
  const table = h("billing-pricing-table", {
    currency: view.currency,
    interval: view.interval,
    "account-url": "/demo/account",
    "success-url": "/demo",
    "cancel-url": cancelUrl(),
    "promotion-code": view.code,
    "promotion-codes": true,
  });
  table.addEventListener("billing-choose", ({ detail }) => {
    for (const [name, value] of Object.entries(detail)) if (value) view[name] = value;
    remember();
    table.setAttribute("cancel-url", cancelUrl());
  });
  discloseWhatIsLoaded(table);
  pricing.append(table);
}

const cancelUrl = () => `/demo?${new URLSearchParams({ ...view, canceled: "1" })}`;
const remember = () => history.replaceState(null, "", `?${new URLSearchParams(view)}`);

function showReceipt() {
  const status = h(
    "billing-checkout-status",
    {},
    h("a", { href: "/demo" }, text("shop.back")),
    h("a", { href: document.body.dataset.stripeUrl }, text("shop.dashboard")),
  );
  status.addEventListener("billing-status", ({ detail }) => {
    document.title = `${detail.title} · ${text("frame.shop")}`;
  });
  discloseWhatIsLoaded(status);
  pricing.replaceWith(status);
}

translatePage();
if ("session_id" in view) showReceipt();
else showPricing();

// A page that the browser kept while the buyer was at the checkout would still show what was on sale before.
addEventListener("pageshow", (event) => event.persisted && location.reload());
