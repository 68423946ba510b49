// What each plan gives, side by side.

import { h } from "../common/dom.js";
import { number, text } from "../common/language.js";

/**
 * @param {{product: object, plan: object}[]} offers the plans that the cards show
 * @returns {Element|null} null where there is nothing to compare
 */
export function comparison(offers) {
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
      h("th", { scope: "row" }, names.get(key)),
      cells.map((cell) => h("td", {}, words(cell, isLimited))),
    );
  };
  return h(
    "section",
    { class: "comparison" },
    h("h2", { id: "comparison-title" }, text("comparison.title")),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "comparison-title" },
      h(
        "table",
        { "data-testid": "comparison" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td", {}),
            offers.map(({ product }) => h("th", { scope: "col" }, product.name)),
          ),
        ),
        h("tbody", {}, keys.map(row)),
      ),
    ),
  );
}

/** A number where plans differ by it; else that it is there, in a sign for the eye and a word for the ear. */
function words(feature, isLimited) {
  if (!feature) return mark("–", "comparison.absent");
  if (feature.limit === null) return isLimited ? text("comparison.unlimited") : mark("✓", "comparison.present");
  const limit = number(Number(feature.limit));
  return feature.perUnit ? text("comparison.perUnit", { limit }) : limit;
}

const mark = (sign, name) => [
  h("span", { "aria-hidden": "true" }, sign),
  h("span", { class: "visually-hidden" }, text(name)),
];
