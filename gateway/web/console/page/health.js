// How the gateway stands: what the doctor says, the queues, and when each secret was last of use.

import { ask } from "./api.js";
import { card, h, moment, state, table } from "./dom.js";

export async function health() {
  const place = h("div", { class: "grid" });
  const checks = h("div", {});
  const load = async () => {
    const { health: found } = await ask("health");
    checks.replaceChildren(table("As `gateway doctor` says it", ["state", "what", "finding", "what to do"],
      found.checks.map((each) => [state(each.status), each.name, each.finding, each.fix])));
    place.replaceChildren(
      card("Queues", table("What waits", ["queue", "#pending", "#failed", "#dead", "#late, s"],
        found.queues.map((each) => [each.name, each.pending, each.failed, h("span", { class: each.dead ? "bad" : null }, each.dead), each.lateSeconds]))),
      card("Signing secrets of Stripe’s deliveries", table("One that is not used any more can go", ["secret", "last used"],
        found.secrets.map((each) => [each.label, each.lastUsedAt ? moment(each.lastUsedAt) : "never"]))));
  };
  await load();
  const again = h("button", { type: "button", class: "quiet", onclick: load }, "Look again");
  return { content: [h("div", { class: "head" }, h("h1", {}, "Health"), again), card("Checks", checks), place] };
}
