// How often a plan is charged, in words.

import { text } from "./language.js";

/** A key for plans that are charged equally often: "MONTH", "3_MONTH". */
export const periodOf = ({ interval, intervalCount }) =>
  intervalCount === 1 ? interval : `${intervalCount}_${interval}`;

const parts = (period) => {
  const [interval, count = "1"] = period.split("_").reverse();
  return { interval, count: Number(count) };
};

const inWords = (manner) => (period) => {
  const { interval, count } = parts(period);
  return count === 1 ? text(`periods.${manner}.${interval}`) : text(`periods.every.${interval}`, { count });
};

/** "monthly", "every 3 months" */
export const adverb = inWords("adverb");

/** "per month", "every 3 months" */
export const every = inWords("per");

/** "Monthly", where it begins a line. */
export const capital = (words) => words[0].toLocaleUpperCase() + words.slice(1);

/** Shorter periods come first. */
export function byLength(one, other) {
  const days = { DAY: 1, WEEK: 7, MONTH: 30, YEAR: 365 };
  const length = (period) => days[parts(period).interval] * parts(period).count;
  return length(one) - length(other);
}
