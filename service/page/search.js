// Searching: a photo, items for and against; results, more of them, what was seen.

import { call, itemPath, read, show } from "./api.js";
import { cropper } from "./crop.js";
import { attempt, byId, el, fill, tell } from "./dom.js";
import { filter, openFilters } from "./filters.js";

// What is searched with: the photo, if any, with the box on it; and items for and against.
const NOTHING = { photo: null, box: null };
const asked = { ...NOTHING, plus: [], minus: [] };
const SUGGESTED = 12; // items, as long as nothing is searched with
let opened = false;
let running = null; // aborts the search before
let offset = 0;

export function openSearch() {
  if (opened) return;
  opened = true;
  const drop = byId("drop");
  byId("photo").addEventListener("change", (event) => take(event.target.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else tell(byId("status"), "That is no file. Save the photo first, then drop it here.", { problem: true });
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) take(file);
  });
  for (const id of ["limit", "group", "collapse", "exact"]) byId(id).addEventListener("change", again);
  byId("more").addEventListener("click", () => search({ further: true }));
  byId("clear").addEventListener("click", clear);
  byId("explain").addEventListener("click", explain);
  document.addEventListener("key-given", () => { tell(byId("status"), ""); begin(); again(); });
  begin();
}

/** Ask what the catalogue holds. */
const begin = () => attempt(byId("status"), async () => { await count(); await suggest(); });

/** Some items from all over the catalogue, for who has no photo at hand. */
async function suggest() {
  const { places } = await read("v1/map");
  const some = Array.from({ length: Math.min(SUGGESTED, places.length) },
    (_, i) => places[Math.floor((i * places.length) / Math.min(SUGGESTED, places.length))]);
  fill(byId("suggested"), some.map((place) => el("li", {}, opener(place))));
  byId("suggestion").hidden = !some.length;
}

async function count() {
  const keys = await openFilters(() => { attempt(byId("status"), count); again(); });
  const group = byId("group");
  const before = group.value;
  fill(group, el("option", { value: "" }, "–"), keys.map((key) => el("option", { value: key }, key)));
  group.value = keys.includes(before) ? before : "";
}

async function take(file) {
  if (!file) return;
  Object.assign(asked, { ...NOTHING, photo: file, plus: [], minus: [] });
  byId("crop").hidden = false;
  await attempt(byId("status"), async () => {
    try {
      await cropper(byId("crop"), file, (box) => { asked.box = box; search(); });
    } catch {
      byId("crop").hidden = true; // the browser cannot show it; the server says what is wrong
    }
    await search();
  });
}

export function searchWithItem(id) {
  Object.assign(asked, { ...NOTHING, plus: [id], minus: [] });
  byId("crop").hidden = true;
  search();
}

function clear() {
  Object.assign(asked, { ...NOTHING, plus: [], minus: [] });
  byId("crop").hidden = true;
  byId("photo").value = "";
  history.replaceState(null, "", "#search");
  fill(byId("results"));
  for (const id of ["explanation", "more"]) byId(id).hidden = true;
  examples();
  tell(byId("status"), "");
}

function again() {
  if (asked.photo || asked.plus.length) search();
}

/** Add an item for or against; one that stands on the other side changes it. */
function add(side, id) {
  const other = side === "plus" ? "minus" : "plus";
  asked[other] = asked[other].filter((one) => one !== id);
  if (!asked[side].includes(id)) asked[side].push(id);
  search();
}

function options() {
  const given = { limit: Number(byId("limit").value) || 24 };
  if (byId("group").value) given.group_by = byId("group").value;
  if (byId("collapse").checked) given.collapse = 0.98;
  if (byId("exact").checked) given.exact = true;
  const where = filter();
  if (where) given.filter = JSON.stringify(where);
  return given;
}

function request(given) {
  const { photo, box, plus, minus } = asked;
  if (!photo && plus.length === 1 && !minus.length) return { json: { item_id: plus[0], ...given } };
  if (!photo) return { json: { positives: plus, negatives: minus, ...given } };
  const form = new FormData();
  form.append("image", photo, "photo");
  if (box) form.append("crop", box); // of the photo, which is the only one: all others are items
  for (const id of plus) form.append("positives", id);
  for (const id of minus) form.append("negatives", id);
  for (const [name, value] of Object.entries(given)) form.append(name, value);
  return { method: "POST", body: form };
}

async function search({ further = false } = {}) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const line = byId("status");
  offset = further ? offset + options().limit : 0;
  examples();
  tell(line, "Searching …");
  const well = await attempt(line, async () => {
    if (!asked.photo && !asked.plus.length) throw new Error("Add something that the items should look like.");
    const answer = await read("v1/search", { ...request({ ...options(), offset }), signal });
    const cards = answer.items.map(card);
    if (further) byId("results").append(...cards);
    else fill(byId("results"), cards);
    byId("more").hidden = answer.items.length < options().limit;
    const seen = byId("results").children.length;
    tell(line, seen ? `${seen} of ${answer.total} items, in ${Math.round(answer.timings_ms.total)} ms.` : "Nothing was found.");
  });
  if (!well && !signal.aborted && !further) fill(byId("results"));
  byId("explanation").hidden = true;
}

/** The photo of an item, which searches with it. */
function opener({ id, image }) {
  const picture = show(el("img", { alt: `Item ${id}`, loading: "lazy" }), `${image}?side=320`);
  return el("button", { class: "open", type: "button", title: "Search with this item", onclick: () => { location.hash = `search/${encodeURIComponent(id)}`; } }, picture);
}

/** What is known of an item, in a few words: a text speaks for itself, a number does not. */
function known({ id, attributes }) {
  const word = ([key, value]) => {
    if ([null, false, "false", id].includes(value)) return null;
    if ([true, "true"].includes(value)) return key;
    return typeof value === "number" ? `${key} ${value}` : value;
  };
  return Object.entries(attributes).map(word).filter((said) => said !== null).slice(0, 3);
}

function card(item) {
  const facts = known(item);
  const copies = item.collapsed.length ? ` and ${item.collapsed.length} near-copies` : "";
  return el("li", {},
    opener(item),
    el("div", { class: "said" },
      el("span", { class: "score" }, item.score.toFixed(3)), ` ${item.id}${copies}`,
      facts.length ? el("div", { class: "hint" }, facts.join(" · ")) : null),
    el("div", { class: "acts" },
      el("button", { type: "button", "aria-label": `More like ${item.id}`, title: "More like this", onclick: () => add("plus", item.id) }, "+ like"),
      el("button", { type: "button", "aria-label": `Not like ${item.id}`, title: "But not like this", onclick: () => add("minus", item.id) }, "− not")));
}

function examples() {
  const one = (side, id) => el("li", { class: side },
    show(el("img", { alt: "" }), `${itemPath(id)}/image?side=96`),
    `${side === "plus" ? "like" : "not like"} ${id}`,
    el("button", { type: "button", class: "quiet", "aria-label": `Take ${id} away`, onclick: () => { asked[side] = asked[side].filter((other) => other !== id); again(); examples(); } }, "×"));
  fill(byId("examples"), asked.plus.map((id) => one("plus", id)), asked.minus.map((id) => one("minus", id)));
  document.body.classList.toggle("has-query", Boolean(asked.photo || asked.plus.length || asked.minus.length));
  byId("clear").hidden = !asked.photo && !asked.plus.length && !asked.minus.length;
  byId("explain").hidden = !asked.photo;
}

async function explain() {
  const line = byId("status");
  tell(line, "Drawing what the vector kept …");
  await attempt(line, async () => {
    const form = new FormData();
    form.append("image", asked.photo, "photo");
    if (asked.box) form.append("crop", asked.box);
    const answer = await call("v1/explain", { method: "POST", body: form, headers: { Accept: "image/png" } });
    const url = URL.createObjectURL(await answer.blob());
    fill(byId("explanation"),
      el("h2", {}, "What the vector kept"),
      el("p", { class: "hint" }, "The photo, drawings from its vector alone, and the nearest items. What all drawings share, the vector says; where they differ, it leaves that open."),
      el("img", { src: url, alt: "The photo, several drawings of what its vector kept, and the nearest items" }));
    byId("explanation").hidden = false;
    tell(line, "");
  });
}
