// The switches above the prices: how often it is billed, and in which currency.

import { h } from "../core/dom.js";
import { adverb, capital, periodOf } from "../core/periods.js";
import { saving } from "./prices.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} pricing
 * @param {string[]} periods that anything is billed by, the shortest first
 * @param {string} chosen one of them
 * @param {(event: Event) => void} onchange of an input that is named as what it chooses: "interval" or "currency"
 */
export const switches = (ui, pricing, periods, chosen, onchange) => [
  periods.length > 1 && periodSwitch(ui, pricing, periods, chosen, onchange),
  // Who has bought something pays in that currency, whatever is chosen.
  pricing.currencies.length > 1 && pricing.currencyChoice !== "VIEWER" && currencySwitch(ui, pricing, onchange),
];

function periodSwitch(ui, pricing, periods, chosen, onchange) {
  const plans = pricing.products.flatMap(({ plans }) => plans);
  const most = (period) =>
    Math.max(0, ...plans.filter((plan) => periodOf(plan) === period).map(({ savingPercent }) => savingPercent ?? 0));
  const choice = (period) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: "interval", value: period, checked: period === chosen, onchange }),
      h("span", {}, capital(adverb(ui, period)), most(period) > 0 && saving(ui, most(period))),
    );
  return h(
    "fieldset",
    { class: "segments", part: "interval-switch", "data-testid": "interval-switch" },
    h("legend", { class: "visually-hidden" }, ui.text("shop.billed")),
    periods.map(choice),
  );
}

const currencySwitch = (ui, { currencies, currency }, onchange) =>
  h(
    "label",
    { class: "pill", part: "currency-switch" },
    h("span", { class: "visually-hidden" }, ui.text("shop.currency")),
    h(
      "select",
      { name: "currency", "data-testid": "currency-switch", autocomplete: "off", onchange },
      currencies.map((code) => h("option", { value: code, selected: code === currency }, code)),
    ),
  );
