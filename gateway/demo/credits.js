// The credits: how many there are, and the last lines of their ledger.

import { h } from "./dom.js";
import { day } from "./words.js";

const number = new Intl.NumberFormat(navigator.language, { signDisplay: "exceptZero" });

/** @param {{balance: number, entries: {nodes: object[]}}} credits */
export function creditPanel({ balance, entries }) {
  return h(
    "section",
    { class: "tile", "data-testid": "credits" },
    h("h2", {}, "Credits"),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "credit-balance" }, balance.toLocaleString(navigator.language)),
      " to spend",
    ),
    h("ul", { class: "lines" }, entries.nodes.map(line)),
  );
}

const line = ({ kind, amount, reason, createdAt }) =>
  h(
    "li",
    { "data-testid": "credit-entry" },
    h("span", {}, `${reason ?? words(kind)}, ${day(createdAt)}`),
    h("span", {}, number.format(amount)),
  );

/** "GRANT" as people write it. */
const words = (kind) => kind[0] + kind.slice(1).toLowerCase().replaceAll("_", " ");
