// The way to Stripe's own pages: all of them, or only that of the payment method.

import { attempt, button, problemPlace } from "../core/actions.js";
import { leave } from "../core/dom.js";
import { CREATE_PORTAL_SESSION } from "../documents/portal.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {"OVERVIEW"|"PAYMENT_METHOD_UPDATE"} flow what it opens with
 */
export function portalButton(ui, flow) {
  const problem = problemPlace();
  const press = ({ currentTarget }) =>
    attempt(currentTarget, ui.text("frame.opening"), problem, async () => {
      const here = `${location.origin}${location.pathname}`;
      const { url } = await ui.mutate(CREATE_PORTAL_SESSION, { returnUrl: here, flow, locale: ui.locale });
      leave(url);
    });
  const testid = flow === "OVERVIEW" ? "portal" : "update-method";
  return [button(ui.text(`portal.${flow}`), testid, press, "button quiet"), problem];
}
