// How the gateway stands: what the doctor says, the queues, and when each secret was last of use.

import { ask } from "./api.js";
import { card, h, moment, state, table } from "./dom.js";

export async function health() {
  const { health: found } = await ask("health");
  return { content: [
    h("h1", {}, "Health"),
    card("Checks", table("As `gateway doctor` says it", ["state", "what", "finding", "what to do"],
      found.checks.map((each) => [state(each.status), each.name, each.finding, each.fix]))),
    h("div", { class: "grid" },
      card("Queues", table("What waits", ["queue", "#pending", "#failed", "#dead", "#late, s"],
        found.queues.map((each) => [each.name, each.pending, each.failed, h("span", { class: each.dead ? "bad" : null }, each.dead), each.lateSeconds]))),
      card("Signing secrets of Stripe’s deliveries", table("One that is not used any more can go", ["secret", "last used"],
        found.secrets.map((each) => [each.label, each.lastUsedAt ? moment(each.lastUsedAt) : "never"])))),
  ] };
}
