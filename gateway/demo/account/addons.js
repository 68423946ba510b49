// The add-ons in the form that changes a plan: how many of each, none included.

import { h } from "../common/dom.js";
import { text } from "../common/language.js";
import { periodOf } from "../common/periods.js";
import { seatCounter } from "../common/seats.js";

/**
 * @param {object[]} addons plans of the catalogue, each with its product and currency
 * @param {object[]} items what the subscription has
 * @param {object} plan the chosen one: an add-on is billed as often
 * @param {{wished: string|null, onchange: () => void}} page `wished` is an add-on that the shop's button asked for
 * @returns {{element: Element|null, changes: () => object[]|null}} `changes` are entries of `items` of a change; null
 *   while a number is wrong
 */
export function addonFields(addons, items, plan, { wished, onchange }) {
  const held = ({ id }) => items.find((item) => item.plan?.id === id);
  const fields = addons
    .filter((addon) => held(addon) || periodOf(addon) === periodOf(plan))
    .map((addon) => field(addon, held(addon), { isWished: addon.id === wished, onchange }));
  const changes = () => {
    if (!fields.every(({ input }) => input.reportValidity())) return null;
    return fields.flatMap(({ addon, item, input }) => change(addon, item, input.valueAsNumber));
  };
  const element = h("fieldset", {}, h("legend", { class: "label" }, text("change.addons")), fields.map(row));
  return { element: fields.length ? element : null, changes };
}

function field(addon, item, { isWished, onchange }) {
  const start = Number(item?.quantity ?? 0) || Number(isWished);
  const { name } = addon.product;
  const { element, input } = seatCounter(addon.product, addon, addon.currency, start, { least: 0, name });
  input.dataset.testid = `addon-${addon.id}`;
  input.addEventListener("change", onchange);
  return { addon, item, input, element };
}

const row = ({ addon, element }) => h("div", { class: "addon" }, h("span", {}, addon.product.name), element);

function change({ id }, item, quantity) {
  if (quantity === Number(item?.quantity ?? 0)) return [];
  if (!item) return [{ priceId: id, quantity }];
  return [quantity ? { itemId: item.id, quantity } : { itemId: item.id, remove: true }];
}
