// The invoices, with links to Stripe's page and PDF of each. A list and no table: it is read on a telephone too.

import { h } from "../common/dom.js";
import { day, text } from "../common/language.js";

/** @param {object[]} invoices the newest first */
export const invoicePanel = (invoices) =>
  h(
    "section",
    { class: "tile wide", "data-testid": "invoices", "aria-labelledby": "invoices-title" },
    h("h2", { id: "invoices-title" }, text("invoices.title")),
    invoices.length ? h("ul", { class: "invoices" }, invoices.map(row)) : h("p", {}, text("invoices.none")),
  );

function row({ number, status, createdAt, total, refunded, hostedInvoiceUrl, invoicePdf }) {
  const link = (name, href) =>
    href && h("a", { href, "aria-label": text(`invoices.${name}Of`, { number }) }, text(`invoices.${name}`));
  return h(
    "li",
    { "data-testid": "invoice" },
    h("span", { class: "when" }, day(createdAt, "medium"), h("small", {}, number)),
    h(
      "span",
      { class: "amount" },
      h("strong", {}, total.formatted),
      refunded.amount > 0 && h("small", {}, text("invoices.refunded", { amount: refunded.formatted })),
    ),
    h("span", { class: status === "OPEN" ? "state bad" : "state" }, text(`invoices.status.${status}`)),
    h("span", { class: "links" }, link(status === "OPEN" ? "pay" : "view", hostedInvoiceUrl), link("pdf", invoicePdf)),
  );
}
