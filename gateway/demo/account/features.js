// What the customer may use now.

import { h } from "../common/dom.js";
import { text } from "../common/language.js";

/**
 * @param {{feature: string, limit: number|null}[]} entitlements
 * @param {object[]} subscriptions whose plans name the features
 */
export function featurePanel(entitlements, subscriptions) {
  const plans = subscriptions.flatMap(({ items }) => items.map(({ plan }) => plan)).filter(Boolean);
  const names = new Map(plans.flatMap(({ features }) => features.map(({ key, name }) => [key, name])));
  const line = ({ feature, limit }) => {
    const name = names.get(feature) ?? feature.replaceAll("_", " ");
    return h("li", {}, limit === null ? name : text("features.upTo", { name, limit: Number(limit) }));
  };
  return h(
    "section",
    { class: "tile", "data-testid": "features", "aria-labelledby": "features-title" },
    h("h2", { id: "features-title" }, text("features.title")),
    entitlements.length > 0
      ? h("ul", { class: "features" }, entitlements.map(line))
      : h("p", {}, text("features.none")),
  );
}
