// Who did what.

import { ask } from "./api.js";
import { pager } from "./customers.js";
import { card, h, id, moment, patch, state, table } from "./dom.js";

export async function audit() {
  const place = h("div", {});
  const after = [];
  const load = async () => {
    const { auditLog: found } = await ask("audit", { after: after.at(-1) ?? null });
    patch(place,
      table("The newest first", ["action", "status", "by", "for", "user", "to", "asked", "problems", "when"], found.nodes.map((each) => [
        each.action, state(each.status), each.by, each.actor, id(each.externalId), id(each.target), h("code", {}, each.input), each.problems.join("; "), moment(each.createdAt)])),
      pager(found.pageInfo, after, load));
  };
  await load();
  return { content: [h("h1", {}, "Audit log"), card("What was done", place)], refresh: load };
}
