// A pause: nothing is charged until the customer, or the day, ends it.

import { attempt, button, newKey, problemPlace } from "../core/actions.js";
import { h } from "../core/dom.js";
import { PAUSE_SUBSCRIPTION } from "../documents/account.js";

const MONTHS = [1, 2, 3, 6];

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} subscription the one to pause
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function pauseForm(ui, { id, currentPeriodStart, currentPeriodEnd }, { done, close }) {
  const problem = problemPlace();
  const choice = h(
    "select",
    { name: "until", "data-testid": "pause-until" },
    h("option", { value: "" }, ui.text("pause.open")),
    MONTHS.map((count) => later(currentPeriodEnd, count))
      .filter((end) => end <= later(currentPeriodStart, 12)) // the longest pause is a year
      .map((end) => h("option", { value: end }, ui.text("pause.until", { day: ui.day(end) }))),
  );
  const submit = (event) => {
    event.preventDefault();
    attempt(event.submitter, ui.text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, until: choice.value || null, idempotencyKey: newKey() };
      await ui.mutate(PAUSE_SUBSCRIPTION, input);
      await done(ui.text("pause.done"));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "pause-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, ui.text("pause.title")),
    h("p", {}, ui.text("pause.meaning", { day: ui.day(currentPeriodEnd) })),
    h("div", { class: "fields" }, h("label", {}, ui.text("pause.howLong"), choice)),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button", "data-testid": "confirm-pause" }, ui.text("pause.confirm")),
      button(ui.text("frame.back"), "close", close, "button quiet"),
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
