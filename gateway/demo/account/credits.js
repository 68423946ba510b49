// The credits: how many there are, and the last lines of their ledger.

import { h } from "../common/dom.js";
import { day, number, text } from "../common/language.js";

/** @param {{balance: number, entries: {nodes: object[]}}} credits */
export const creditPanel = ({ balance, entries }) =>
  h(
    "section",
    { class: "tile", "data-testid": "credits", "aria-labelledby": "credits-title" },
    h("h2", { id: "credits-title" }, text("credits.title")),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "credit-balance" }, number(balance)),
      ` ${text("credits.toSpend")}`,
    ),
    entries.nodes.length > 0 && h("ul", { class: "lines" }, entries.nodes.map(line)),
  );

const line = ({ kind, amount, reason, createdAt }) =>
  h(
    "li",
    { "data-testid": "credit-entry" },
    h("span", {}, `${reason ?? text(`credits.kind.${kind}`)}, ${day(createdAt)}`),
    h("span", {}, number(amount, { signDisplay: "exceptZero" })),
  );
