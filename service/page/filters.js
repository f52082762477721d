// Filters with counts: what the catalogue's attributes hold, as boxes to tick or as a range.

import { read } from "./api.js";
import { byId, el, fill } from "./dom.js";

const SHOWN = 12; // values of an attribute
const chosen = new Map(); // attribute -> set of values as JSON
const ranges = new Map(); // attribute -> { gte, lte }, either of which may be missing

/** The filter that the boxes and ranges make, null if there is none. */
export function filter() {
  const any = [...chosen]
    .filter(([, values]) => values.size)
    .map(([key, values]) => ({ key, any: [...values].map((value) => JSON.parse(value)) }));
  const within = [...ranges]
    .filter(([, range]) => Object.keys(range).length)
    .map(([key, range]) => ({ key, range }));
  const must = [...any, ...within];
  return must.length ? { must } : null;
}

/** Many different numbers, a price for instance: nobody ticks them one by one. */
const measured = (facet) => facet.distinct > SHOWN && facet.values.every(({ value }) => typeof value === "number");

/** An attribute is worth boxes if its values repeat: a name of its own is not. */
const useful = (facet, total) => facet.distinct > 1 && facet.distinct <= Math.max(SHOWN, total / 4);

/** Count anew, and let `changed` know when something is chosen; the attributes worth grouping by. */
export async function openFilters(changed) {
  const place = byId("filters");
  const all = await read("v1/facets?most=60");
  const boxed = all.attributes.filter((facet) => useful(facet, all.total) && !measured(facet));
  const facets = all.attributes.filter((facet) => boxed.includes(facet) || measured(facet));
  const where = filter();
  const counts = where
    ? await read(`v1/facets?most=200&filter=${encodeURIComponent(JSON.stringify(where))}`)
    : all;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  fill(place, facets.map((facet) => (boxed.includes(facet) ? boxes(facet, counts, changed) : range(facet, changed))));
  if (focused) byId(focused)?.focus(); // who works with keys goes on where they were
  byId("filters-box").hidden = facets.length === 0;
  byId("filters-count").textContent = where ? `(${where.must.length})` : "";
  return boxed.map((facet) => facet.key);
}

function boxes(facet, counts, changed) {
  const now = counts.attributes.find((other) => other.key === facet.key);
  const ticked = chosen.get(facet.key) || new Set();
  const count = (value) => now?.values.find((other) => other.value === value)?.items ?? 0;
  const labels = facet.values.slice(0, SHOWN).map(({ value, items }) => {
    const name = JSON.stringify(value);
    const box = el("input", {
      type: "checkbox", checked: ticked.has(name), id: `filter ${facet.key} ${name}`,
      onchange: () => {
        const values = chosen.get(facet.key) || chosen.set(facet.key, new Set()).get(facet.key);
        if (box.checked) values.add(name);
        else values.delete(name);
        changed();
      },
    });
    // Of the attribute's own other values the catalogue's count is told: ticking one adds it.
    const shown = ticked.size ? items : count(value);
    const said = typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
    return el("label", {}, box, el("span", {}, said), el("span", {}, String(shown)));
  });
  return el("fieldset", {}, el("legend", {}, facet.key), labels);
}

function range(facet, changed) {
  const now = ranges.get(facet.key) || {};
  const end = (bound, word) => {
    const input = el("input", {
      type: "number", step: "any", id: `filter ${facet.key} ${bound}`, value: now[bound] ?? "",
      placeholder: word, "aria-label": `${facet.key} ${word}`,
      onchange: () => {
        const { [bound]: _, ...other } = ranges.get(facet.key) || {};
        ranges.set(facet.key, input.value === "" ? other : { ...other, [bound]: Number(input.value) });
        changed();
      },
    });
    return input;
  };
  return el("fieldset", {}, el("legend", {}, facet.key),
    el("div", { class: "range" }, end("gte", "from"), end("lte", "to")));
}
