// The credits: how many there are, of each kind, and the last lines of the ledger of those without a name.

import { labelled } from "../core/actions.js";
import { bdi, h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {{balance: number, entries: {nodes: any[]}}} credits
 * @param {{kind: string|null, balance: number}[]} kinds those with a name
 */
export const creditPanel = (ui, { balance, entries }, kinds) =>
  h(
    "section",
    { class: "tile", part: "tile", "data-testid": "credits", "aria-labelledby": "credits-title" },
    h("h2", { id: "credits-title" }, ui.text("credits.title")),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "credit-balance" }, ui.number(balance)),
      ` ${ui.text("credits.toSpend")}`,
    ),
    kinds.length > 0 && h("dl", {}, kinds.map((each) => labelled(each.kind?.replaceAll("_", " "), ui.number(each.balance)))),
    entries.nodes.length > 0 && h("ul", { class: "lines" }, entries.nodes.map((entry) => entryOf(ui, entry))),
  );

const entryOf = (ui, { kind, amount, reason, createdAt }) =>
  h(
    "li",
    { "data-testid": "credit-entry" },
    h("span", {}, bdi(reason ?? ui.text(`credits.kind.${kind}`)), `, ${ui.day(createdAt)}`),
    h("span", {}, ui.number(amount, { signDisplay: "exceptZero" })),
  );
