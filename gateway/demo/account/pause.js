// A pause: nothing is charged until the customer, or the day, ends it.

import { attempt, button, mutate, newKey, problemPlace } from "../common/actions.js";
import { h } from "../common/dom.js";
import { day, text } from "../common/language.js";
import { PAUSE_SUBSCRIPTION } from "./queries.js";

const MONTHS = [1, 2, 3, 6];

/**
 * @param {object} subscription the one to pause
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function pauseForm({ id, currentPeriodStart, currentPeriodEnd }, { done, close }) {
  const problem = problemPlace();
  const choice = h(
    "select",
    { name: "until", "data-testid": "pause-until" },
    h("option", { value: "" }, text("pause.open")),
    MONTHS.map((count) => later(currentPeriodEnd, count))
      .filter((end) => end <= later(currentPeriodStart, 12)) // the longest pause is a year
      .map((end) => h("option", { value: end }, text("pause.until", { day: day(end) }))),
  );
  const submit = (event) => {
    event.preventDefault();
    attempt(event.submitter, text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, until: choice.value || null, idempotencyKey: newKey() };
      await mutate(PAUSE_SUBSCRIPTION, "pauseSubscription", input);
      await done(text("pause.done"));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "pause-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, text("pause.title")),
    h("p", {}, text("pause.meaning", { day: day(currentPeriodEnd) })),
    h("div", { class: "fields" }, h("label", {}, text("pause.howLong"), choice)),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button", "data-testid": "confirm-pause" }, text("pause.confirm")),
      button(text("frame.back"), "close", close, "button quiet"),
    ),
    problem,
  );
}

/** The same day some months later; the last one of a month that has no such day. */
function later(moment, months) {
  const found = new Date(moment);
  const wanted = found.getUTCDate();
  found.setUTCMonth(found.getUTCMonth() + months);
  if (found.getUTCDate() !== wanted) found.setUTCDate(0);
  return found.toISOString();
}
