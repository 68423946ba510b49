// Who somebody is, what they have, and why access is as it is.

import { act, ask, session } from "./api.js";
import { card, facts, h, id, moment, patch, state, table } from "./dom.js";

const OVER = new Set(["CANCELED", "INCOMPLETE_EXPIRED"]);

export async function customers(_named, show) {
  const typed = new URLSearchParams(location.hash.split("?")[1] ?? "").get("search") ?? "";
  const field = h("input", { name: "search", type: "search", value: typed, autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "tools", role: "search", onsubmit: (submitted) => {
    submitted.preventDefault();
    const wanted = field.value.trim();
    const to = wanted ? `#/customers?search=${encodeURIComponent(wanted)}` : "#/customers";
    to === location.hash ? show() : (location.hash = to);
  } }, h("label", {}, "E-mail, your id, or Stripe’s", field), h("button", {}, "Search"));
  const place = h("div", {});
  const after = [];
  const load = async () => {
    const { customers: found } = await ask("customers", { search: typed || null, after: after.at(-1) ?? null });
    patch(place,
      table("The newest first", ["customer", "your id", "e-mail", "name", "payment", "since"], found.nodes.map((each) => [
        h("a", { href: `#/customers/${encodeURIComponent(each.id)}`, class: "id" }, each.id), each.externalId ?? h("span", { class: "warn" }, "nobody’s"),
        each.email, each.name, each.delinquent ? h("span", { class: "bad" }, "failed") : "–", moment(each.createdAt)])),
      pager(found.pageInfo, after, load));
  };
  await load();
  return { content: [h("div", { class: "head" }, h("h1", {}, "Customers"), form), card("Found", place)], refresh: load };
}

/** Buttons to the next page of a list, and back to the first. */
export function pager(info, after, load) {
  return h("div", { class: "tools" },
    after.length > 0 && h("button", { type: "button", class: "quiet", onclick: () => { after.length = 0; load(); } }, "The newest"),
    info.hasNextPage && h("button", { type: "button", class: "quiet", onclick: () => { after.push(info.endCursor); load(); } }, "Older"));
}

export async function customer(named, show) {
  const { customer: found } = await ask("customer", { id: named });
  if (!found) return { content: [h("h1", {}, "Nobody"), h("p", {}, `There is no customer ${named}.`)] };
  const who = found.listed;
  const button = (text, wanted, label) => session.mayAct && h("button", { type: "button", class: "quiet", "aria-label": label ?? null, "data-of": who.externalId ?? who.email,
    onclick: async () => { if (await act(wanted())) show(); } }, text);
  const head = h("div", { class: "head" }, h("h1", {}, who.email ?? who.name ?? who.id), h("div", { class: "tools" }, ...doings(found, button)));
  const content = [
    head,
    h("section", { class: "card" }, facts([
      ["Customer", id(who.id)], ["Your id", who.externalId ? id(who.externalId) : h("span", { class: "warn" }, "nobody’s")], ["E-mail", who.email],
      ["Name", who.name], ["Currency", who.currency], ["Last charge", who.delinquent ? h("span", { class: "bad" }, "failed") : "not failed"],
      ["Credits", found.credits.balance], ...found.creditKinds.map((each) => [`Credits of ${each.kind}`, each.balance]),
      ["Since", moment(who.createdAt)]])),
    card("Access, and why", why(found.features)),
    card("Subscriptions", table("The newest first", ["subscription", "plan", "status", "access", "period ends", "to do"], found.subscriptions.map((each) => [
      id(each.id), each.items.map((item) => `${item.plan?.product.name ?? "unknown"}${item.quantity > 1 ? ` × ${item.quantity}` : ""}`).join(", "),
      [state(each.status), each.willCancel && !OVER.has(each.status) ? " ends" : "", each.paused ? " paused" : ""], [state(each.access.allowed ? "YES" : "NO"), ` ${each.access.reason}`],
      moment(each.items[0]?.currentPeriodEnd),
      !OVER.has(each.status) && h("div", { class: "tools" }, endings(each, who, button))]))),
    card("Invoices", table("The newest 20 invoices", ["invoice", "number", "status", "#total", "#left to pay", "created", "to do"], found.invoices.nodes.map((each) => [
      id(each.id), each.number, state(each.status), each.total.formatted, each.amountRemaining.formatted, moment(each.createdAt),
      each.status === "PAID" && button("Refund", () => ({
        title: "Refund", text: `All that is left of ${each.number ?? each.id} (${each.total.formatted}) goes back, and access and credits with it.`,
        operation: "RefundInvoice", input: { invoiceId: each.id } }), `Refund ${each.number ?? each.id}`)]))),
    card("Credit ledger", table("The newest 20 entries, without a name", ["kind", "#amount", "#balance", "reason", "when"],
      found.credits.entries.nodes.map((each) => [each.kind.toLowerCase(), each.amount, each.balance, each.reason, moment(each.createdAt)]))),
    card("Usage", table("The latest 10 reports", ["report", "meter", "#value", "status", "Stripe said", "used"], found.usage.nodes.map((each) => [
      id(each.id), each.eventName, each.value, state(each.status), each.lastError, moment(each.usedAt)]))),
    card("Audit log", table("The newest 20 actions", ["action", "status", "by", "for", "to", "problems", "when"], found.auditLog.nodes.map((each) => [
      each.action, state(each.status), each.by, each.actor, id(each.target), each.problems.join("; "), moment(each.createdAt)]))),
  ];
  return { content };
}

function why(features) {
  if (!features.length) return h("p", { class: "note" }, "The catalogue has no features.");
  return features.map((each) => h("details", {},
    h("summary", {}, h("strong", {}, each.feature), " ", state(each.access.allowed ? "YES" : "NO"), ` ${each.access.reason}`,
      each.access.limit != null ? ` (${each.access.used ?? 0} of ${each.access.limit})` : ""),
    h("ol", { class: "steps" }, each.steps.map((step) => h("li", {},
      h("span", { class: step.holds ? "good" : "bad" }, step.holds ? "✓ " : "✗ "), h("span", { class: "id" }, step.about), ` ${step.rule}: ${step.finding}`)))));
}

/** What can be done about a subscription's end: each is asked first, and undone by another where it can be. */
function endings(subscription, who, button) {
  const of = (text, title, meaning, operation, more = {}) => button(text, () => ({
    title, text: `${subscription.id} of ${who.externalId ?? who.email ?? who.id} ${meaning}`, operation,
    input: { whom: { customerId: who.id }, subscriptionId: subscription.id, ...more },
  }), `${text}: ${subscription.id}`);
  const goesOn = subscription.willCancel || subscription.paused;
  return [
    goesOn && of("Go on", "Go on", "goes on: its planned end or its pause is undone. A new period may begin, and be charged.", "ResumeSubscription"),
    !goesOn && of("Pause", "Pause", "is not billed until it goes on again; what is paid for is given.", "PauseSubscription"),
    !subscription.willCancel && of("End with period", "End with the period", "ends with the period that was paid for.", "CancelSubscription", { when: "AT_PERIOD_END" }),
    of("End now", "End now", "ends at once; nothing is paid back, and what was used is billed.", "CancelSubscription", { when: "NOW" }),
  ];
}

function doings({ listed: who }, button) {
  const whose = who.externalId ?? who.email ?? who.id;
  return [
    button("Grant credits", () => ({
      title: "Grant credits", text: `Credits for ${whose}, which no refund takes back.`,
      fields: [["How many", { name: "amount", type: "number", min: 1, required: true }], ["Why", { name: "reason", required: true, maxlength: 500 }]],
      operation: "GrantCredits", input: { whom: { customerId: who.id } }, read: (typed) => ({ amount: Number(typed.amount), reason: typed.reason }) })),
    who.externalId ? button("Unlink", () => ({
      title: "Unlink", text: `${who.id} is taken from ${who.externalId}, who loses what it gives and begins with a new customer.`,
      operation: "UnlinkCustomer", input: { externalId: who.externalId, customerId: who.id } }))
      : button("Link to a user", () => ({
        title: "Link", text: `${who.id}, with its cards, is given to a user, whose present customer is let go.`,
        fields: [["The user, by your id", { name: "user", required: true, autocomplete: "off" }],
          ["Instead of another user, where its metadata at Stripe name that one by mistake", { name: "instead", autocomplete: "off" }]],
        operation: "LinkCustomer", input: { customerId: who.id },
        read: (typed) => ({ externalId: typed.user, ...(typed.instead ? { insteadOf: typed.instead } : {}) }) })),
  ];
}
