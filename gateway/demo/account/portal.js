// The way to Stripe's own pages: all of them, or only that of the payment method.

import { attempt, button, mutate, problemPlace } from "../common/actions.js";
import { locale, text } from "../common/language.js";
import { CREATE_PORTAL_SESSION } from "./queries.js";

/** @param {"OVERVIEW"|"PAYMENT_METHOD_UPDATE"} flow what it opens with */
export function portalButton(flow) {
  const problem = problemPlace();
  const press = ({ currentTarget }) =>
    attempt(currentTarget, text("frame.opening"), problem, async () => {
      const here = `${location.origin}${location.pathname}`;
      const { url } = await mutate(CREATE_PORTAL_SESSION, "createPortalSession", { returnUrl: here, flow, locale });
      location.assign(url);
    });
  const testid = flow === "OVERVIEW" ? "portal" : "update-method";
  return [button(text(`portal.${flow}`), testid, press, "button quiet"), problem];
}
