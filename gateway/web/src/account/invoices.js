// The invoices, with links to Stripe's page and PDF of each. A list and no table: it is read on a telephone too.

import { h, web } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any[]} invoices the newest first
 */
export const invoicePanel = (ui, invoices) =>
  h(
    "section",
    { class: "tile wide", part: "tile", "data-testid": "invoices", "aria-labelledby": "invoices-title" },
    h("h2", { id: "invoices-title" }, ui.text("invoices.title")),
    invoices.length ? h("ul", { class: "invoices" }, invoices.map((each) => row(ui, each))) : h("p", {}, ui.text("invoices.none")),
  );

function row(ui, { number, status, createdAt, total, tax, refunded, hostedInvoiceUrl, invoicePdf }) {
  const link = (name, address) => {
    const href = web(address);
    return href && h("a", { href, "aria-label": ui.text(`invoices.${name}Of`, { number }) }, ui.text(`invoices.${name}`));
  };
  return h(
    "li",
    { "data-testid": "invoice" },
    h("span", { class: "when" }, ui.day(createdAt, "medium"), h("small", {}, number)),
    h(
      "span",
      { class: "amount" },
      h("strong", {}, total.formatted),
      tax.amount > 0 && h("small", {}, ui.text("invoices.tax", { amount: tax.formatted })),
      refunded.amount > 0 && h("small", {}, ui.text("invoices.refunded", { amount: refunded.formatted })),
    ),
    h("span", { class: status === "OPEN" ? "state bad" : "state" }, ui.text(`invoices.status.${status}`)),
    h("span", { class: "links" }, link(status === "OPEN" ? "pay" : "view", hostedInvoiceUrl), link("pdf", invoicePdf)),
  );
}
