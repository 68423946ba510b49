// What a plan or a product costs, in words: the large figures, what they come to a month, and the tiers.

import { h } from "../core/dom.js";
import { adverb, capital, every, periodOf } from "../core/periods.js";
import { write } from "./amounts.js";

/** What one unit (or package) costs, of a price or of a tier; null where nothing is said. */
const cost = (ui, { unitAmount, unitAmountDecimal }, page) =>
  unitAmount?.formatted ?? (unitAmountDecimal && write(ui.locale, unitAmountDecimal, page));

const isFree = ({ unitAmountDecimal, flatAmount }) => !Number(unitAmountDecimal) && !flatAmount?.amount;

const figures = (money, words) => h("p", { class: "price", part: "price" }, h("strong", {}, money), ` ${words}`);

/** "per seat", "per 100 calls"; nothing for what is not counted. */
function perUnit(ui, { unitLabel }, { price, usageType }) {
  const count = price.transformQuantity?.divideBy;
  if (count) return ui.text("price.perPackage", { count, units: ui.units(unitLabel, count) });
  const counted = unitLabel || price.tiers.length || usageType === "METERED";
  return counted ? ui.text("price.perUnit", { unit: ui.units(unitLabel, 1) }) : "";
}

/** The price in large figures: of one unit; of tiers the first. */
export function headline(ui, product, plan, page) {
  const [first] = plan.price.tiers;
  if (first && isFree(first) && first.upTo) {
    const count = first.upTo;
    const units = ui.units(product.unitLabel, count);
    return figures(ui.text("price.free"), ui.text("price.forTheFirst", { count, units }));
  }
  if (first?.flatAmount?.amount) return figures(first.flatAmount.formatted, every(ui, periodOf(plan)));
  const metered = plan.usageType === "METERED";
  const words = [perUnit(ui, product, plan), metered ? "" : every(ui, periodOf(plan))];
  return figures(cost(ui, first ?? plan.price, page) ?? ui.text("price.youDecide"), words.filter(Boolean).join(" "));
}

export const onceHeadline = (ui, price, page) =>
  figures(
    price.customAmount ? ui.text("price.youDecide") : cost(ui, price, page),
    [ui.text("price.once"), price.taxText].filter(Boolean).join(", "),
  );

/** Between which amounts the buyer chooses, each kept together whatever the direction, and what is suggested. */
export function limits(ui, { minimum, maximum, preset }) {
  const said = minimum ? (maximum ? "between" : "least") : "most";
  const [least, most, amount] = [minimum, maximum, preset].map((money) => money && `\u2068${money.formatted}\u2069`);
  const lines = [
    (least || most) && h("li", {}, ui.text(`price.limits.${said}`, { least, most })),
    amount && h("li", {}, ui.text("price.limits.preset", { amount })),
  ];
  return lines.some(Boolean) && h("ul", { class: "billing", "data-testid": "limits" }, lines);
}

/** When it is charged, and what that comes to a month. */
export function billing(ui, plan, trialDays) {
  const period = periodOf(plan);
  const billed = adverb(ui, period);
  const monthly = period !== "MONTH" && plan.monthlyEquivalent?.formatted;
  const percent = plan.savingPercent;
  return h(
    "ul",
    { class: "billing" },
    h("li", {}, trialDays ? ui.text("price.trial", { count: trialDays, billed }) : ui.text("price.billed", { billed })),
    monthly &&
      h(
        "li",
        { "data-testid": "monthly" },
        ui.text("price.monthly", { amount: monthly }),
        percent && h("em", { class: "saving", part: "saving" }, ui.text("price.saving", { percent })),
      ),
    plan.price.taxText && h("li", {}, plan.price.taxText),
  );
}

/** The tiers of a price; null where it has none. */
export function tierTable(ui, { unitLabel }, { tiers, tiersMode }, page) {
  if (!tiers.length) return null;
  const starts = [1, ...tiers.map(({ upTo }) => upTo + 1)];
  const range = ({ upTo }, index) =>
    upTo ? ui.text("price.range", { from: starts[index], to: upTo }) : ui.text("price.andMore", { from: starts[index] });
  const names = { units: ui.units(unitLabel, 2), unit: ui.units(unitLabel, 1) };
  const row = (tier, index) =>
    h("tr", {}, h("th", { scope: "row" }, range(tier, index)), h("td", {}, tierCost(ui, tier, page)));
  return h(
    "table",
    { class: "tiers" },
    h("caption", {}, capital(ui.text(`price.tiers.${tiersMode}`, names))),
    h("tbody", {}, tiers.map(row)),
  );
}

function tierCost(ui, tier, page) {
  const each = Number(tier.unitAmountDecimal) ? ui.text("price.each", { amount: cost(ui, tier, page) }) : null;
  const flat = tier.flatAmount?.amount ? ui.text("price.flat", { amount: tier.flatAmount.formatted }) : null;
  return [each, flat].filter(Boolean).join(" + ") || ui.text("price.freeTier");
}

export const saving = (ui, percent) =>
  h("em", { class: "saving", part: "saving" }, ui.text("price.saveUpTo", { percent: ui.number(percent) }));
