// The playground: every model with its settings, its pictures seen while they are drawn.

import { call, follow, fromBase64, read, start, stop } from "./api.js";
import { attempt, byId, el, fill, tell, tellProgress } from "./dom.js";
import { known } from "./known.js";
import { pad } from "./pad.js";

const TASKS = { // what can be asked for: the ability it needs, its path, its inputs
  samples: { name: "New pictures", needs: "sample", inputs: ["count", "size"] },
  completions: { name: "The rest of a photo", needs: "complete", inputs: ["count", "image", "known"] },
  enlargements: { name: "A small picture, large", needs: "enlarge", inputs: ["count", "image"] },
  reconstructions: { name: "A photo again", needs: "reconstruct", inputs: ["image"] },
  interpolations: { name: "Between two seeds", needs: "interpolate", inputs: ["count"] },
  frames: { name: "How it is painted", needs: "frames", inputs: ["count"] },
};
const STROKE_TASKS = {
  samples: { name: "New sketches", needs: "sample", inputs: ["count"] },
  "sketches/completions": { name: "The rest of a sketch", needs: "complete", inputs: ["count", "pad"] },
};
const FIRST = "pixelvae"; // the model that is looked at first: the one that searches
let models = null;
let asking = false; // which models there are
let photo = null;
let sketch = null;
let drawing = null; // a file with a sketch, in place of the pad's
let half = null; // the photo that is to be completed
let job = null;

const model = () => models.find((one) => one.name === byId("model").value);
const weights = () => model()?.weights.find((one) => one.name === byId("weights").value);
const tasks = () => (model()?.modality === "strokes" ? STROKE_TASKS : TASKS);
const task = () => tasks()[byId("task").value];

export async function openPlayground() {
  if (models || asking) return;
  asking = true;
  const line = byId("play-status");
  tell(line, "Looking which models there are …");
  fill(byId("model"), el("option", {}, "Loading …"));
  const well = await attempt(line, async () => {
    const found = (await read("v1/models")).models;
    models = found;
    byId("play-fields").disabled = false;
    const option = (one) => el("option", { value: one.name }, one.weights.length ? one.name : `${one.name} (not trained)`);
    fill(byId("model"), [...models].sort((a, b) => (b.weights.length > 0) - (a.weights.length > 0)).map(option));
    sketch = pad(byId("pad"), () => useDrawing(null));
    half = known(byId("half"), (share) => { byId("known").value = 100 * share; keep(); });
    listen();
    byId("model").value = (models.find((one) => one.name === FIRST && one.weights.length) ?? model()).name;
    choose();
    tell(line, "");
  });
  asking = false;
  if (!well) fill(byId("model")); // the line says why; coming back asks again
}

function listen() {
  byId("model").addEventListener("change", choose);
  byId("task").addEventListener("change", arrange);
  byId("weights").addEventListener("change", arrange);
  byId("play").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  byId("cancel").addEventListener("click", ({ target }) => job && attempt(byId("play-status"), () => stop(job, target)));
  byId("pad-clear").addEventListener("click", () => { sketch.clear(); useDrawing(null); });
  byId("pad-file").addEventListener("change", (event) => useDrawing(event.target.files[0] ?? null));
  byId("known").addEventListener("input", keep);
  byId("play-photo").addEventListener("change", (event) => usePhoto(event.target.files[0], event.target.files[0]?.name));
}

const keep = () => half.keep(byId("known").value / 100);

function useDrawing(file) {
  drawing = file;
  byId("pad-name").textContent = file ? file.name : "";
  if (!file) byId("pad-file").value = "";
}

/** Take a file as the photo of what is asked for. */
async function usePhoto(file, name) {
  if (!file) return;
  photo = file;
  byId("play-photo-name").textContent = name;
  await attempt(byId("play-status"), async () => {
    try {
      await half.take(file, byId("known").value / 100);
      byId("half").hidden = false;
      tell(byId("play-status"), "");
    } catch {
      throw new Error("The browser cannot show this file. Choose a JPEG, PNG or WebP.");
    }
  });
}

/** Take a picture that was drawn as the photo, for tasks that have one. */
function useDrawn(picture, name) {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const task = [...byId("task").options].find((one) => tasks()[one.value].inputs.includes("image"));
  if (!tasks()[byId("task").value].inputs.includes("image")) {
    if (!task) return tell(byId("play-status"), "This model does nothing with a photo.");
    byId("task").value = task.value;
    arrange();
  }
  return usePhoto(new Blob([bytes], { type: "image/png" }), name);
}

function choose() {
  const { abilities, about, train, weights: there } = model();
  fill(byId("weights"), there.map((one) => el("option", { value: one.name }, one.name)));
  fill(byId("task"), Object.entries(tasks())
    .filter(([, one]) => abilities.includes(one.needs))
    .map(([path, one]) => el("option", { value: path }, one.name)));
  byId("about").textContent = there.length ? about : `${about} It has no weights here. Make some: ${train}`;
  byId("draw").disabled = !there.length;
  arrange();
}

/** Show the inputs that the task has. */
function arrange() {
  const inputs = task()?.inputs ?? [];
  const { abilities } = model();
  const shown = {
    ".of-count": inputs.includes("count"),
    ".of-image": inputs.includes("image"),
    ".of-known": inputs.includes("known"),
    ".of-size": inputs.includes("size") && abilities.includes("size"),
    ".of-temperature": abilities.includes("temperature"),
  };
  for (const [where, seen] of Object.entries(shown)) document.querySelector(where).hidden = !seen;
  byId("pad-box").hidden = !inputs.includes("pad");
  byId("half-box").hidden = !inputs.includes("known");
}

async function request() {
  const inputs = task().inputs;
  const given = { seed: Number(byId("seed").value) || 0, weights: byId("weights").value };
  const { abilities, modality } = model();
  if (abilities.includes("temperature")) given.temperature = Number(byId("temperature").value) || 1;
  const n = Number(byId("n").value) || 1;
  const name = byId("task").value;
  if (name === "interpolations") return { json: { ...given, steps: Math.max(n, 2), seeds: [given.seed, given.seed + 1] } };
  if (inputs.includes("count")) given.n = n;
  if (inputs.includes("size") && byId("size").value) given.size = Number(byId("size").value);
  if (inputs.includes("pad") && !drawing) {
    if (!sketch.lines().length) throw new Error("Draw the beginning of a sketch first.");
    return { json: { ...given, sketch: { lines: sketch.lines() }, simplify: 4 } };
  }
  if (!inputs.includes("image") && !inputs.includes("pad")) return { json: modality === "strokes" ? given : { ...given, format: "json" } };
  const form = new FormData();
  if (inputs.includes("pad")) form.append("sketch", drawing, drawing.name);
  else if (photo) form.append("image", photo, "photo");
  else throw new Error("Choose a photo first, or a picture that was drawn.");
  if (inputs.includes("known")) form.append("mask", await half.mask(), "mask.png");
  for (const [field, value] of Object.entries(given)) form.append(field, value);
  return { method: "POST", body: form };
}

async function draw() {
  const [line, bar] = [byId("play-status"), byId("play-progress")];
  byId("draw").disabled = true;
  fill(byId("sheet"));
  tell(line, "Waiting for its turn …");
  await attempt(line, async () => {
    const path = `v1/models/${model().name}/${byId("task").value}`;
    job = await start(path, await request());
    byId("cancel").hidden = bar.hidden = false;
    bar.removeAttribute("value");
    const ended = await follow(job, hear);
    if (ended.state === "cancelled") return tell(line, "Stopped.");
    if (ended.problem) throw new Error(ended.problem.detail);
    await show(ended);
    return tell(line, "Done.");
  });
  byId("draw").disabled = !weights();
  byId("cancel").hidden = bar.hidden = true;
}

function hear(kind, data) {
  const bar = byId("play-progress");
  if (kind === "progress" && data.total) {
    tellProgress(byId("play-status"), bar, data, data.stage === "load" ? "Loading the model …" : `${data.done} of ${data.total}`);
  } else if (kind === "partial") data.pictures.forEach((picture, i) => put(data.number + i, picture));
  else if (kind === "picture") put(data.number, data.picture);
}

/** A picture at its place on the sheet. */
function put(number, picture) {
  const sheet = byId("sheet");
  while (sheet.children.length <= number) {
    const name = `Picture ${sheet.children.length + 1}`;
    sheet.append(el("button", { class: "open", type: "button", title: "Take this picture as the photo" }, el("img", { alt: name })));
  }
  const button = sheet.children[number];
  button.firstChild.src = fromBase64(picture);
  button.onclick = () => useDrawn(picture, button.firstChild.alt);
}

async function show(ended) {
  const strokes = model().modality === "strokes";
  const answer = await call(`${ended.result}?format=${strokes ? "svg" : "json"}`);
  if (!strokes) {
    (await answer.json()).pictures.forEach((picture, i) => put(i, picture));
    return;
  }
  const url = URL.createObjectURL(await answer.blob());
  fill(byId("sheet"), el("img", { class: "whole", src: url, alt: "Sketches that were drawn" }));
}

