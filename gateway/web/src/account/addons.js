// The add-ons in the form that changes a plan: how many of each, none included.

import { bdi, h } from "../core/dom.js";
import { periodOf } from "../core/periods.js";
import { seatCounter } from "../core/seats.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any[]} addons plans of the catalogue, each with its product and currency
 * @param {any[]} items what the subscription has
 * @param {any} plan the chosen one: an add-on is billed as often
 * @param {{wished: string|null, onchange: () => void}} page `wished` is an add-on that the button of a table asked for
 * @returns {{element: Element|null, changes: () => any[]|null}} `changes` are entries of `items` of a change; null while a
 *   number is wrong
 */
export function addonFields(ui, addons, items, plan, { wished, onchange }) {
  const held = ({ id }) => items.find((item) => item.plan?.id === id);
  const fields = addons
    .filter((addon) => held(addon) || periodOf(addon) === periodOf(plan))
    .map((addon) => field(ui, addon, held(addon), { isWished: addon.id === wished, onchange }));
  const changes = () => {
    if (!fields.every(({ input }) => input.reportValidity())) return null;
    return fields.flatMap(({ addon, item, input }) => changeOf(addon, item, input.valueAsNumber));
  };
  const element = h("fieldset", {}, h("legend", { class: "label" }, ui.text("change.addons")), fields.map(fieldRow));
  return { element: fields.length ? element : null, changes };
}

function field(ui, addon, item, { isWished, onchange }) {
  const start = Number(item?.quantity ?? 0) || Number(isWished);
  const { name } = addon.product;
  const { element, input } = seatCounter(ui, addon.product, addon, addon.currency, start, { least: 0, name });
  input.dataset.testid = `addon-${addon.id}`;
  input.addEventListener("change", onchange);
  return { addon, item, input, element };
}

const fieldRow = ({ addon, element }) => h("div", { class: "addon" }, h("span", {}, bdi(addon.product.name)), element);

/** @returns {any[]} */
function changeOf({ id }, item, quantity) {
  if (quantity === Number(item?.quantity ?? 0)) return [];
  if (!item) return [{ set: { priceId: id, quantity } }];
  return [quantity ? { set: { itemId: item.id, quantity } } : { remove: { itemId: item.id } }];
}
