// How often a plan is charged, in words.

/** A key for plans that are charged equally often: "MONTH", "3_MONTH". */
export const periodOf = ({ interval, intervalCount }) =>
  intervalCount === 1 ? interval : `${intervalCount}_${interval}`;

const parts = (period) => {
  const [interval, count = "1"] = period.split("_").reverse();
  return { interval, count: Number(count) };
};

const wording = (manner) => (ui, period) => {
  const { interval, count } = parts(period);
  return count === 1 ? ui.text(`periods.${manner}.${interval}`) : ui.text(`periods.every.${interval}`, { count });
};

/** "monthly", "every 3 months" */
export const adverb = wording("adverb");

/** "per month", "every 3 months" */
export const every = wording("per");

/** "Monthly", where it begins a line. */
export const capital = (words) => words.charAt(0).toLocaleUpperCase() + words.slice(1);

const DAYS = { DAY: 1, WEEK: 7, MONTH: 30, YEAR: 365 };
const length = (period) => DAYS[parts(period).interval] * parts(period).count;

/** Shorter periods come first. */
export const byLength = (one, other) => length(one) - length(other);
