// Leaving: when, why, and in the customer's own words.

import { h } from "./dom.js";
import { CANCEL_SUBSCRIPTION } from "./viewer.js";
import { attempt, day, mutate } from "./words.js";

const REASONS = {
  TOO_EXPENSIVE: "It is too expensive",
  MISSING_FEATURES: "Some features are missing",
  SWITCHED_SERVICE: "I use something else now",
  UNUSED: "I do not use it enough",
  CUSTOMER_SERVICE: "Customer service was not good",
  TOO_COMPLEX: "It is too hard to use",
  LOW_QUALITY: "The quality was not good",
  OTHER: "Something else",
};

/**
 * @param {object} subscription the one to end
 * @param {{done: (notice: string) => void, close: () => void}} then what follows
 */
export function cancelForm({ id, currentPeriodEnd }, { done, close }) {
  const end = day(currentPeriodEnd);
  const option = (value, text, checked) =>
    h("label", { class: "option" }, h("input", { type: "radio", name: "when", value, checked }), h("span", {}, text));
  const form = h(
    "form",
    { class: "sheet", "data-testid": "cancel-form" },
    h("h3", {}, "Cancel your plan"),
    h(
      "fieldset",
      {},
      h("legend", { class: "visually-hidden" }, "When"),
      option("AT_PERIOD_END", `On ${end}, when what you paid for ends`, true),
      option("NOW", "Now", false),
    ),
    h(
      "div",
      { class: "fields" },
      h(
        "label",
        {},
        "Why",
        h(
          "select",
          { name: "reason" },
          h("option", { value: "" }, "I would rather not say"),
          Object.entries(REASONS).map(([value, text]) => h("option", { value }, text)),
        ),
      ),
      h("label", {}, "Anything you want to tell us", h("textarea", { name: "comment", maxlength: "500", rows: "2" })),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button danger", "data-testid": "confirm-cancel" }, "Cancel the plan"),
      h("button", { type: "button", class: "button quiet", onclick: close }, "Back"),
    ),
    h("p", { class: "problem", role: "alert" }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { when, reason, comment } = Object.fromEntries(new FormData(form));
    const input = {
      subscriptionId: id,
      when,
      reason: reason || null,
      comment: comment || null,
      idempotencyKey: crypto.randomUUID(),
    };
    attempt(event.submitter, "One moment…", async () => {
      await mutate(CANCEL_SUBSCRIPTION, "cancelSubscription", input);
      done(when === "NOW" ? "Your plan has ended." : `Your plan ends on ${end}.`);
    });
  });
  return form;
}
