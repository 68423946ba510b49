// What the customer may use now, and how much of it was used where it is counted.

import { h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {{feature: string, limit: number|null, count: {used: number|null, resetsAt: string|null}|null}[]} entitlements
 * @param {any[]} subscriptions whose plans name the features
 */
export function featurePanel(ui, entitlements, subscriptions) {
  const plans = subscriptions.flatMap(({ items }) => items.map(({ plan }) => plan)).filter(Boolean);
  const names = new Map(plans.flatMap(({ features }) => features.map(({ key, name }) => [key, name])));
  const line = ({ feature, limit, count }) => {
    const name = names.get(feature) ?? feature.replaceAll("_", " ");
    const isCounted = limit !== null && count && count.used !== null;
    if (isCounted) return h("li", {}, h("bdi", {}, name), bar(ui, name, Number(limit), count));
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

/** How much of a limit is used, as a bar and in words; more than the limit fills it. */
const bar = (ui, name, limit, { used, resetsAt }) => {
  const words = ui.text("features.used", { used: Number(used), limit, day: ui.day(resetsAt) });
  const share = { max: String(Math.max(limit, 1)), value: String(limit ? Math.min(used, limit) : 1) };
  return [
    h("progress", { ...share, class: "used", "aria-label": name, "aria-valuetext": words, "data-testid": "used" }),
    h("small", {}, words),
  ];
};
