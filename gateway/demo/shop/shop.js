// Entry: shows the price list, or the receipt of a checkout that sent the buyer back.

import { translatePage } from "../common/language.js";
import { showPricing } from "./pricing.js";
import { showReceipt } from "./receipt.js";

translatePage();
const sessionId = new URLSearchParams(location.search).get("session_id");

if (sessionId) showReceipt(sessionId);
else showPricing();

// A page that the browser kept while the buyer was at the checkout would still say "Opening checkout".
addEventListener("pageshow", (event) => event.persisted && location.reload());
