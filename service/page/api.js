// Calling the server: keys, problems, pictures behind a key, jobs and what they tell.

const KEY = "niteru-key";

export const key = () => sessionStorage.getItem(KEY) || "";
export function useKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || `The server answered ${status}.`);
    this.status = status;
    this.told = told;
  }
}

/** Call the server; resolves to the response, rejects with what is wrong in words. */
export async function call(path, { headers = {}, json, ...given } = {}) {
  const sent = { ...headers };
  if (key()) sent.Authorization = `Bearer ${key()}`;
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    given = { method: "POST", body: JSON.stringify(json), ...given };
  }
  let response;
  try {
    response = await fetch(path, { ...given, headers: sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached. Is it running?");
  }
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    if (response.status === 401) document.dispatchEvent(new CustomEvent("key-wanted"));
    throw new Problem(response.status, told);
  }
  return response;
}

export const read = async (path, given) => (await call(path, given)).json();

/** Let an image show what stands at a path, with the key if there is one. */
export function show(image, path) {
  if (!key()) {
    image.src = path;
    return image;
  }
  call(path)
    .then((response) => response.blob())
    .then((blob) => {
      image.src = URL.createObjectURL(blob);
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    })
    .catch(() => image.dispatchEvent(new Event("error")));
  return image;
}

/** The path of an item. Slashes are escaped where clients would rewrite the path or misread it. */
export function itemPath(id) {
  const parts = id.split("/");
  const odd = parts.some((part) => ["", ".", ".."].includes(part)) || (parts.length > 1 && ["image", "explain"].includes(parts.at(-1)));
  return `v1/items/${odd ? encodeURIComponent(id) : parts.map(encodeURIComponent).join("/")}`;
}

export const fromBase64 = (text) => `data:image/png;base64,${text}`;

/** Follow a job to its end: `heard(kind, data)` for each event; resolves to the job as it ended. */
export async function follow(job, heard, signal) {
  const response = await call(job.events, { signal, headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true }; // cut off: the browser's own words for it say little
    });
    if (done) break;
    waiting += value;
    const blocks = waiting.split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const field = (name) =>
        block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (!field("event")) continue;
      const data = JSON.parse(field("data"));
      if (field("event") === "end") return data;
      heard(field("event"), data);
    }
  }
  throw new Error("The connection broke off before the end. The job goes on.");
}

/** Ask a job to stop; `button` waits for the answer. Its end is told by its events. */
export async function stop(job, button) {
  button.disabled = true;
  try {
    await call(job.url, { method: "DELETE" });
  } finally {
    button.disabled = false;
  }
}

/**
 * The role of the key if it is too low for an admin's calls; null if it is not, or nobody knows.
 * Reading /metrics needs the same role and changes nothing. Where something in between keeps
 * /metrics from the browser, the calls themselves say what they lack.
 */
export async function roleTooLow() {
  if (!key()) return null;
  try {
    await call("metrics");
  } catch (error) {
    return error.told?.needed ? error.told.role : null;
  }
  return null;
}

/** Ask for work that takes long: resolves to the job. */
export async function start(path, given = {}) {
  return read(path, { ...given, headers: { ...given.headers, Prefer: "respond-async" } });
}
