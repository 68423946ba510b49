// What each plan gives, side by side.

import { bdi, h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {{product: any, plan: any}[]} offers the plans that the cards show
 * @returns {Element|null} null where there is nothing to compare
 */
export function comparison(ui, offers) {
  const names = new Map(offers.flatMap(({ plan }) => plan.features.map(({ key, name }) => [key, name])).reverse());
  const keys = [...new Set(offers.flatMap(({ plan }) => plan.features.map(({ key }) => key)))];
  if (offers.length < 2 || !keys.length) return null;
  const given = ({ plan }, key) => plan.features.find((feature) => feature.key === key);
  const row = (key) => {
    const cells = offers.map((offer) => given(offer, key));
    const isLimited = cells.some((cell) => cell && cell.limit !== null);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(names.get(key))),
      cells.map((cell) => h("td", {}, contentOf(ui, cell, isLimited))),
    );
  };
  const columns = offers.map(({ product }) => h("th", { scope: "col" }, bdi(product.name)));
  return h(
    "section",
    { class: "comparison", part: "comparison" },
    h("h2", { id: "comparison-title" }, ui.text("comparison.title")),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "comparison-title" },
      h(
        "table",
        { "data-testid": "comparison" },
        h("thead", {}, h("tr", {}, h("td", {}), columns)),
        h("tbody", {}, keys.map(row)),
      ),
    ),
  );
}

/** A number where plans differ by it; else that it is there, in a sign for the eye and a word for the ear. */
function contentOf(ui, feature, isLimited) {
  if (!feature) return mark(ui, "–", "comparison.absent");
  if (feature.limit === null)
    return isLimited ? ui.text("comparison.unlimited") : mark(ui, "✓", "comparison.present");
  const limit = ui.number(Number(feature.limit));
  return feature.perUnit ? ui.text("comparison.perUnit", { limit }) : limit;
}

const mark = (ui, sign, name) => [
  h("span", { "aria-hidden": "true" }, sign),
  h("span", { class: "visually-hidden" }, ui.text(name)),
];
