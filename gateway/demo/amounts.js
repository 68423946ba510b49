// Totals, in whole minor units as Stripe counts them: there is no floating point in money.

/**
 * What a quantity costs in one period.
 *
 * @param {object} plan with `amount`, or `price.tiers` and `price.tiersMode`
 * @param {number} quantity a whole number from 1
 * @returns {{amount: number, like: object}|null} minor units, and a Money of the same currency; null when a unit has
 *   a fraction of a minor unit, which only Stripe rounds
 */
export function total(plan, quantity) {
  const { tiers, tiersMode } = plan.price;
  if (plan.amount) return { amount: plan.amount.amount * quantity, like: plan.amount };
  if (!tiers.length || tiers.some((tier) => !tier.unitAmount)) return null;
  const amount = tiersMode === "VOLUME" ? volume(tiers, quantity) : graduated(tiers, quantity);
  return { amount, like: tiers[0].unitAmount };
}

const flat = (tier) => tier.flatAmount?.amount ?? 0;

/** Every unit at the price of the tier that the quantity reaches. */
function volume(tiers, quantity) {
  const tier = tiers.find(({ upTo }) => upTo === null || quantity <= upTo);
  return tier.unitAmount.amount * quantity + flat(tier);
}

/** Every unit at the price of the tier that it falls into itself. */
function graduated(tiers, quantity) {
  let sum = 0;
  let below = 0;
  for (const tier of tiers) {
    const units = Math.min(quantity, tier.upTo ?? Infinity) - below;
    if (units <= 0) break;
    sum += units * tier.unitAmount.amount + flat(tier);
    below = tier.upTo;
  }
  return sum;
}

/** Writes minor units in the reader's locale; how many decimals the currency has is read off a Money of the API. */
export function write({ amount, like }) {
  const digits = like.decimal.split(".")[1]?.length ?? 0;
  const figures = String(amount).padStart(digits + 1, "0");
  const decimal = digits ? `${figures.slice(0, -digits)}.${figures.slice(-digits)}` : figures;
  const style = { style: "currency", currency: like.currency, maximumFractionDigits: digits };
  return new Intl.NumberFormat(navigator.language, style).format(decimal);
}
