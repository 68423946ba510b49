// Leaving: when, why, and in the customer's own words.

import { attempt, button, mutate, newKey, problemPlace } from "../common/actions.js";
import { h } from "../common/dom.js";
import { day, text } from "../common/language.js";
import { writtenDiscount } from "./discounts.js";
import { ACCEPT_RETENTION_OFFER, CANCEL_SUBSCRIPTION } from "./queries.js";

const REASONS = [
  ...["TOO_EXPENSIVE", "MISSING_FEATURES", "SWITCHED_SERVICE", "UNUSED"],
  ...["CUSTOMER_SERVICE", "TOO_COMPLEX", "LOW_QUALITY", "OTHER"],
];

/**
 * @param {object} subscription the one to end
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function cancelForm({ id, currentPeriodEnd, retentionOffer }, { done, close }) {
  const end = day(currentPeriodEnd);
  const problem = problemPlace();
  const option = (value, words, checked) =>
    h("label", { class: "option" }, h("input", { type: "radio", name: "when", value, checked }), h("span", {}, words));
  const submit = (event) => {
    event.preventDefault();
    const { when, reason, comment } = Object.fromEntries(new FormData(event.currentTarget));
    const why = { reason: reason || null, comment: comment || null };
    attempt(event.submitter, text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, when, ...why, idempotencyKey: newKey() };
      await mutate(CANCEL_SUBSCRIPTION, "cancelSubscription", input);
      await done(when === "NOW" ? text("cancel.doneNow") : text("cancel.done", { day: end }));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "cancel-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, text("cancel.title")),
    retentionOffer && offer(id, retentionOffer, done),
    h(
      "fieldset",
      {},
      h("legend", { class: "visually-hidden" }, text("cancel.when")),
      option("AT_PERIOD_END", text("cancel.atEnd", { day: end }), true),
      option("NOW", text("cancel.now"), false),
    ),
    h(
      "div",
      { class: "fields" },
      h(
        "label",
        {},
        text("cancel.why"),
        h(
          "select",
          { name: "reason", "data-testid": "cancel-reason" },
          h("option", { value: "" }, text("cancel.unsaid")),
          REASONS.map((value) => h("option", { value }, text(`cancel.reason.${value}`))),
        ),
      ),
      h(
        "label",
        {},
        text("cancel.comment"),
        h("textarea", { name: "comment", maxlength: "500", rows: "2", "data-testid": "cancel-comment" }),
      ),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button danger", "data-testid": "confirm-cancel" }, text("cancel.confirm")),
      button(text("frame.back"), "close", close, "button quiet"),
    ),
    problem,
  );
}

/** What the seller offers to who stays. */
function offer(id, { discount }, done) {
  const problem = problemPlace();
  const accept = ({ currentTarget }) =>
    attempt(currentTarget, text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, idempotencyKey: newKey() };
      await mutate(ACCEPT_RETENTION_OFFER, "acceptRetentionOffer", input);
      await done(text("discount.done"));
    });
  return h(
    "div",
    { class: "offer", "data-testid": "retention-offer" },
    h("p", {}, text("cancel.offer", { discount: writtenDiscount(discount) })),
    button(text("cancel.accept"), "accept-offer", accept),
    problem,
  );
}
