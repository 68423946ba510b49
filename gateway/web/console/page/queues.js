// What came from Stripe, what the application was told, and the usage on its way: dead letters first, and live.

import { act, ask, session } from "./api.js";
import { pager } from "./customers.js";
import { card, facts, h, id, moment, patch, state, table } from "./dom.js";

/**
 * A list that is chosen by its status and looked at again and again.
 *
 * @param {object} wanted `title`; `statuses`; `document` and the `field` of its answer; `heads`; `row`, which makes the
 *   cells of a node; `tools`, which makes what stands beside the title
 */
async function list({ title, statuses, document, field, heads, row, tools }) {
  const chosen = { status: "", after: [] };
  const place = h("div", {});
  const load = async () => {
    const found = (await ask(document, { status: chosen.status || null, after: chosen.after.at(-1) ?? null }))[field];
    patch(place, table(title, heads, found.nodes.map(row)), pager(found.pageInfo, chosen.after, load));
  };
  const first = await ask(document, { status: "DEAD", after: null });
  if (first[field].nodes.length) chosen.status = "DEAD";
  const select = h("select", { name: "status", onchange: (changed) => { chosen.status = changed.target.value; chosen.after = []; load(); } },
    [["", "all"], ...statuses.map((each) => [each, each.toLowerCase()])].map(([key, text]) => h("option", { value: key, selected: key === chosen.status }, text)));
  await load();
  const head = h("div", { class: "head" }, h("h1", {}, title), h("div", { class: "tools" }, h("label", {}, "Status", select), tools?.(load)));
  return { content: [head, h("section", { class: "card" }, place)], refresh: load };
}

function doing(text, label, wanted, then) {
  return session.mayAct && h("button", { type: "button", class: "quiet", "aria-label": label, onclick: async () => { if (await act(wanted)) await then(); } }, text);
}

const due = (done) => `${done.count} are due now.`;

const again = (operation, title, text, ids) => ({ title, text, operation, input: ids ? { ids } : {}, said: due });

export function events() {
  let load = () => {};
  return list({
    title: "Events from Stripe", statuses: ["DEAD", "FAILED", "PENDING", "APPLIED", "STALE", "IGNORED"], document: "events", field: "events",
    heads: ["event", "type", "about", "status", "what became of it", "happened", "to do"],
    row: (each) => [
      h("a", { href: `#/events/${each.id}`, class: "id" }, each.id), each.type, id(each.objectId), state(each.status), each.lastError ?? each.outcome, moment(each.createdAt),
      ["DEAD", "FAILED"].includes(each.status) && doing("Retry", `Retry ${each.id}`, again("RetryEvents", "Retry", `${each.id} is applied again.`, [each.id]), () => load())],
    tools: (loading) => {
      load = loading;
      return [doing("Retry all that failed", null, again("RetryEvents", "Retry all", "Every failed event and dead letter is applied again."), loading),
        doing("Replay a time", null, {
          title: "Replay", text: "The events of this time (UTC) are applied again, 10,000 at most; what is known better already stays as it is.",
          fields: [["From", { name: "since", type: "datetime-local", required: true }], ["Before", { name: "until", type: "datetime-local", required: true }]],
          operation: "ReplayEvents", input: {}, read: (typed) => ({ since: utc(typed.since), until: utc(typed.until) }), said: due }, loading)];
    },
  });
}

function utc(local) {
  return local.length === 16 ? `${local}:00Z` : `${local}Z`;
}

export async function event(named, show) {
  const { event: found } = await ask("event", { id: named });
  if (!found) return { content: [h("h1", {}, "No event"), h("p", {}, `There is no event ${named}.`)] };
  const retry = doing("Apply again", `Apply again: ${found.id}`, again("RetryEvents", "Retry", `${found.id} is applied again.`, [found.id]), show);
  return { content: [
    h("div", { class: "head" }, h("h1", {}, found.type), h("div", { class: "tools" }, ["DEAD", "FAILED"].includes(found.status) && retry)),
    h("section", { class: "card" }, facts([["Event", id(found.id)], ["About", id(found.objectId)], ["Account", id(found.account)], ["Came by", found.source],
      ["Status", state(found.status)], ["What became of it", found.outcome], ["Failed", `${found.attempts} times`], ["Last error", found.lastError],
      ["Happened", moment(found.createdAt)], ["Recorded", moment(found.receivedAt)], ["Processed", moment(found.processedAt)], ["Next try", moment(found.nextAttemptAt)]])),
    card("What changed", table("By its own word", ["where", "from", "to"], found.changes.map((each) => [id(each.path), h("code", {}, each.before), h("code", {}, each.after)]))),
    card("Payload", h("pre", { tabindex: "0", role: "region", "aria-label": "Payload" }, pretty(found.payload))),
  ] };
}

function pretty(text) {
  if (text === null) return "It was taken away, or only those who may act see it.";
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function messages() {
  let load = () => {};
  return list({
    title: "Webhooks to the application", statuses: ["DEAD", "PENDING", "DELIVERED"], document: "messages", field: "messages",
    heads: ["message", "type", "customer", "to", "status", "#tries", "last error", "written", "to do"],
    row: (each) => [id(each.id), each.type, h("a", { href: `#/customers/${encodeURIComponent(each.customerId)}`, class: "id" }, each.customerId), id(each.endpoint),
      state(each.status), each.attempts, each.lastError, moment(each.createdAt),
      doing("Send again", `Send again: ${each.id}`, again("RetryMessages", "Send again", `${each.id} is sent again under the same webhook-id.`, [each.id]), () => load())],
    tools: (loading) => {
      load = loading;
      return doing("Send all dead again", null, again("RetryMessages", "Send all again", "Every message that was given up is sent again."), loading);
    },
  });
}

export function usage() {
  let load = () => {};
  return list({
    title: "Usage on its way to Stripe", statuses: ["DEAD", "PENDING", "SENT", "COUNTED"], document: "usage", field: "usage",
    heads: ["report", "meter", "customer", "#value", "status", "Stripe said", "used", "to do"],
    row: (each) => [id(each.id), each.eventName, h("a", { href: `#/customers/${encodeURIComponent(each.customerId)}`, class: "id" }, each.customerId), each.value,
      state(each.status), each.lastError, moment(each.usedAt),
      each.status === "DEAD" && doing("Retry", `Retry ${each.id}`, again("RetryUsage", "Retry", `${each.id} is sent again; it counts once.`, [each.id]), () => load())],
    tools: (loading) => {
      load = loading;
      return doing("Send all dead again", null, again("RetryUsage", "Send all again", "Everything that Stripe refused is sent again; none counts twice."), loading);
    },
  });
}
