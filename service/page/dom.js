// Building elements, and telling what happens.

/** An element: properties (`class`, `on...`, anything else) and children, of which null is none. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name === "class" ? "class" : name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Say something in a status line; a problem stands out. */
export function tell(line, text, { problem = false } = {}) {
  line.textContent = text;
  line.classList.toggle("problem", problem);
}

/** Run work and tell what went wrong in a status line; whether it went well. */
export async function attempt(line, work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (error.name !== "AbortError") tell(line, error.message, { problem: true });
    return false;
  }
}

/** Tell how far work is; a problem told meanwhile stays to be read. */
export function tellProgress(line, bar, { done, total }, text) {
  if (total) bar.value = done / total;
  if (!line.classList.contains("problem")) tell(line, text);
}

/** Children in place of those there were. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null));
}
