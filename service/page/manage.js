// Indexes: which one answers, going back, indexing again.

import { call, follow, read, start } from "./api.js";
import { attempt, byId, el, fill, tell } from "./dom.js";

let opened = false;
let job = null;
const line = byId("manage-status");

export function openManage() {
  if (!opened) {
    byId("reindex").addEventListener("click", reindex);
    byId("reindex-cancel").addEventListener("click", () => job && call(job.url, { method: "DELETE" }));
  }
  opened = true;
  attempt(line, list);
}

async function list() {
  const { generations, refused } = await read("v1/generations");
  if (refused) tell(line, refused, { problem: true });
  fill(byId("generations").tBodies[0], generations.map((one) => el("tr", {},
    el("td", {}, one.created ? new Date(one.created).toLocaleString() : one.id),
    el("td", {}, one.items === null ? "damaged" : one.items.toLocaleString()),
    el("td", {}, one.index ?? ""),
    el("td", {}, one.recall_at_10 === null ? "" : one.recall_at_10.toFixed(3)),
    el("td", {}, one.serving ? "answers" : el("button", {
      type: "button", class: "quiet", "aria-label": `Answer from ${one.id}`,
      onclick: () => attempt(line, async () => {
        await call(`v1/generations/${one.id}/activate`, { method: "POST" });
        tell(line, `${one.id} answers now.`);
        await list();
      }),
    }, "Go back to it")))));
}

async function reindex() {
  const bar = byId("reindex-progress");
  byId("reindex").disabled = true;
  await attempt(line, async () => {
    job = await start("v1/reindex", { method: "POST" });
    byId("reindex-cancel").hidden = bar.hidden = false;
    bar.removeAttribute("value");
    const ended = await follow(job, (kind, data) => {
      if (kind !== "progress") return;
      if (data.total) bar.value = data.done / data.total;
      tell(line, `${data.stage}: ${data.done} of ${data.total}`);
    });
    if (ended.state === "cancelled") tell(line, "Stopped. What was embedded is kept.");
    else if (ended.problem) throw new Error(ended.problem.detail);
    else tell(line, (await read(ended.result)).message);
    await list();
  });
  byId("reindex").disabled = false;
  byId("reindex-cancel").hidden = bar.hidden = true;
}
