// The invoices, with links to Stripe's page and PDF of each.

import { h } from "./dom.js";
import { day } from "./words.js";

/** @param {object[]} invoices the newest first */
export function invoiceTable(invoices) {
  if (!invoices.length) return h("p", {}, "There are none yet.");
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Invoices" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Date", "Number", "Amount", "Status", "Document"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h("tbody", {}, invoices.map(row)),
    ),
  );
}

const row = ({ number, status, createdAt, total, hostedInvoiceUrl, invoicePdf }) =>
  h(
    "tr",
    { "data-testid": "invoice" },
    h("td", {}, day(createdAt)),
    h("td", {}, number),
    h("td", {}, total.formatted),
    h("td", {}, h("span", { class: status === "OPEN" ? "state bad" : "state" }, status.toLowerCase())),
    h(
      "td",
      {},
      hostedInvoiceUrl && h("a", { href: hostedInvoiceUrl, "aria-label": `View invoice ${number}` }, "View"),
      " ",
      invoicePdf && h("a", { href: invoicePdf, "aria-label": `PDF of invoice ${number}` }, "PDF"),
    ),
  );
