// How often a plan is charged, in words.

const ADVERBS = { DAY: "Daily", WEEK: "Weekly", MONTH: "Monthly", YEAR: "Yearly" };

/** A key for plans that are charged equally often: "MONTH", "3_MONTH". */
export const periodOf = ({ interval, intervalCount }) =>
  intervalCount === 1 ? interval : `${intervalCount}_${interval}`;

const parts = (period) => {
  const [interval, count = "1"] = period.split("_").reverse();
  return { interval, count: Number(count), word: interval.toLowerCase() };
};

/** "Monthly", "Every 3 months". */
export function adverb(period) {
  const { interval, count, word } = parts(period);
  return count === 1 ? ADVERBS[interval] : `Every ${count} ${word}s`;
}

/** "per month", "every 3 months". */
export function every(period) {
  const { count, word } = parts(period);
  return count === 1 ? `per ${word}` : `every ${count} ${word}s`;
}

/** Shorter periods come first. */
export function byLength(one, other) {
  const days = { DAY: 1, WEEK: 7, MONTH: 30, YEAR: 365 };
  const length = (period) => days[parts(period).interval] * parts(period).count;
  return length(one) - length(other);
}
