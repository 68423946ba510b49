// The switches above the prices: how often it is billed, and in which currency.

import { h } from "../common/dom.js";
import { text } from "../common/language.js";
import { adverb, capital, periodOf } from "../common/periods.js";
import { saving } from "./prices.js";

/**
 * @param {object} pricing
 * @param {string[]} periods that anything is billed by, the shortest first
 * @param {string} chosen one of them
 * @param {(event: Event) => void} onchange of an input that is named as what it chooses: "interval" or "currency"
 */
export const switches = (pricing, periods, chosen, onchange) => [
  periods.length > 1 && periodSwitch(pricing, periods, chosen, onchange),
  // Who has bought something pays in that currency, whatever is chosen.
  pricing.currencies.length > 1 && pricing.currencyChoice !== "VIEWER" && currencySwitch(pricing, onchange),
];

function periodSwitch(pricing, periods, chosen, onchange) {
  const most = (period) =>
    Math.max(
      0,
      ...pricing.products.flatMap(({ plans }) =>
        plans.filter((plan) => periodOf(plan) === period).map(({ savingPercent }) => savingPercent ?? 0),
      ),
    );
  const choice = (period) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: "interval", value: period, checked: period === chosen, onchange }),
      h("span", {}, capital(adverb(period)), most(period) > 0 && saving(most(period))),
    );
  return h(
    "fieldset",
    { class: "segments", "data-testid": "interval-switch" },
    h("legend", { class: "visually-hidden" }, text("shop.billed")),
    periods.map(choice),
  );
}

const currencySwitch = ({ currencies, currency }, onchange) =>
  h(
    "label",
    { class: "pill" },
    h("span", { class: "visually-hidden" }, text("shop.currency")),
    h(
      "select",
      { name: "currency", "data-testid": "currency-switch", autocomplete: "off", onchange },
      currencies.map((code) => h("option", { value: code, selected: code === currency }, code)),
    ),
  );
