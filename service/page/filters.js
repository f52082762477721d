// Filters with counts: what the catalogue's attributes hold, as boxes to tick.

import { read } from "./api.js";
import { byId, el, fill } from "./dom.js";

const SHOWN = 12; // values of an attribute
const chosen = new Map(); // attribute -> set of values as JSON

/** The filter that the ticked boxes make, null if none is ticked. */
export function filter() {
  const must = [...chosen]
    .filter(([, values]) => values.size)
    .map(([key, values]) => ({ key, any: [...values].map((value) => JSON.parse(value)) }));
  return must.length ? { must } : null;
}

/** An attribute is worth boxes if its values repeat: a name or a number of its own is not. */
const useful = (facet, total) => facet.distinct > 1 && facet.distinct <= Math.max(SHOWN, total / 4);

/** Count anew, and let `changed` know when a box is ticked. */
export async function openFilters(changed) {
  const place = byId("filters");
  const all = await read("v1/facets?most=60");
  const facets = all.attributes.filter((facet) => useful(facet, all.total));
  const where = filter();
  const counts = where
    ? await read(`v1/facets?most=200&filter=${encodeURIComponent(JSON.stringify(where))}`)
    : all;
  fill(place, facets.map((facet) => boxes(facet, counts, changed)));
  byId("filters-box").hidden = facets.length === 0;
  byId("filters-count").textContent = where ? `(${where.must.length})` : "";
  return facets.map((facet) => facet.key);
}

function boxes(facet, counts, changed) {
  const now = counts.attributes.find((other) => other.key === facet.key);
  const ticked = chosen.get(facet.key) || new Set();
  const count = (value) => now?.values.find((other) => other.value === value)?.items ?? 0;
  const labels = facet.values.slice(0, SHOWN).map(({ value, items }) => {
    const name = JSON.stringify(value);
    const box = el("input", {
      type: "checkbox", checked: ticked.has(name),
      onchange: () => {
        const values = chosen.get(facet.key) || chosen.set(facet.key, new Set()).get(facet.key);
        if (box.checked) values.add(name);
        else values.delete(name);
        changed();
      },
    });
    // Of the attribute's own other values the catalogue's count is told: ticking one adds it.
    const shown = ticked.size ? items : count(value);
    return el("label", {}, box, el("span", {}, String(value)), el("span", {}, String(shown)));
  });
  return el("fieldset", {}, el("legend", {}, facet.key), labels);
}
