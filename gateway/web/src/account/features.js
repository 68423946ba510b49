// What the customer may use now.

import { h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {{feature: string, limit: number|null}[]} entitlements
 * @param {any[]} subscriptions whose plans name the features
 */
export function featurePanel(ui, entitlements, subscriptions) {
  const plans = subscriptions.flatMap(({ items }) => items.map(({ plan }) => plan)).filter(Boolean);
  const names = new Map(plans.flatMap(({ features }) => features.map(({ key, name }) => [key, name])));
  const line = ({ feature, limit }) => {
    const name = names.get(feature) ?? feature.replaceAll("_", " ");
    return h("li", {}, h("bdi", {}, limit === null ? name : ui.text("features.upTo", { name, limit: Number(limit) })));
  };
  return h(
    "section",
    { class: "tile", part: "tile", "data-testid": "features", "aria-labelledby": "features-title" },
    h("h2", { id: "features-title" }, ui.text("features.title")),
    entitlements.length > 0
      ? h("ul", { class: "features" }, entitlements.map(line))
      : h("p", {}, ui.text("features.none")),
  );
}
