// The views and which of them is seen; the key of the server.

import { key, useKey } from "./api.js";
import { byId } from "./dom.js";
import { openManage } from "./manage.js";
import { openMap } from "./map.js";
import { openPlayground } from "./play.js";
import { openSearch, searchWithItem } from "./search.js";

const views = { search: openSearch, map: openMap, play: openPlayground, manage: openManage };

function see() {
  const [name, item] = location.hash.slice(1).split(/\/(.*)/s);
  const chosen = name in views ? name : "search";
  for (const view of Object.keys(views)) byId(`view-${view}`).hidden = view !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views[chosen]();
  if (chosen === "search" && item) searchWithItem(decoded(item));
}

/** An item's id as it stands in the address, which somebody may have typed. */
function decoded(item) {
  try {
    return decodeURIComponent(item);
  } catch {
    return item;
  }
}

function askForKey() {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  byId("key").value = key();
  dialog.showModal();
}

byId("key-button").addEventListener("click", askForKey);
document.addEventListener("key-wanted", askForKey);
byId("key-dialog").addEventListener("close", () => {
  if (byId("key-dialog").returnValue !== "save") return;
  useKey(byId("key").value.trim());
  document.dispatchEvent(new CustomEvent("key-given"));
  see();
});
addEventListener("hashchange", see);
see();
