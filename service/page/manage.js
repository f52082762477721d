// Indexes: which one answers, going back, indexing again.

import { call, follow, read, roleTooLow, start, stop } from "./api.js";
import { attempt, byId, el, fill, tell, tellProgress } from "./dom.js";

let opened = false;
let job = null;
let allowed = false; // to change what answers: not before it is known of the key
let working = false; // indexing
const line = byId("manage-status");

export function openManage() {
  if (!opened) {
    byId("reindex").addEventListener("click", reindex);
    byId("reindex-cancel").addEventListener("click", ({ target }) => job && attempt(line, () => stop(job, target)));
  }
  opened = true;
  if (!working) tell(line, ""); // what was wrong before the key was given, for instance
  attempt(line, async () => { await learnRole(); await list(); });
}

/** Keep to who may do it what only some may, and say so beforehand. */
const learnRole = async () => allow(await roleTooLow());

/** Offer the buttons, or say of the key's role that it is too low for them. */
function allow(role) {
  allowed = role === null;
  byId("manage-role").hidden = allowed;
  byId("manage-role").textContent = allowed ? "" : `Indexing and going back need a key with the role 'admin'; yours has the role '${role}'. Give another under "Key".`;
  enable();
}

/** Do what only some may; who may not is told so, and is offered it no more. */
const change = (work) => attempt(line, async () => {
  try {
    await work();
  } catch (error) {
    if (error.told?.needed) allow(error.told.role);
    throw error;
  }
});

/** Let the buttons be pressed, or not. */
function enable() {
  byId("reindex").disabled = working || !allowed;
  for (const button of document.querySelectorAll("#generations button")) button.disabled = !allowed;
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
      onclick: () => change(async () => {
        await call(`v1/generations/${one.id}/activate`, { method: "POST" });
        tell(line, `${one.id} answers now.`);
        await list();
      }),
    }, "Go back to it")))));
  enable();
}

async function reindex() {
  const bar = byId("reindex-progress");
  working = true;
  enable();
  tell(line, "Waiting for its turn …");
  await change(async () => {
    job = await start("v1/reindex", { method: "POST" });
    byId("reindex-cancel").hidden = bar.hidden = false;
    bar.removeAttribute("value");
    const ended = await follow(job, (kind, data) => {
      if (kind === "progress") tellProgress(line, bar, data, `${data.stage}: ${data.done} of ${data.total}`);
    });
    if (ended.state === "cancelled") tell(line, "Stopped. What was embedded is kept.");
    else if (ended.problem) throw new Error(ended.problem.detail);
    else tell(line, (await read(ended.result)).message);
    await list();
  });
  working = false;
  enable();
  byId("reindex-cancel").hidden = bar.hidden = true;
}
