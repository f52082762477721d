// A photo with a box on it: drawn with the pointer, moved with the arrow keys.

import { el, fill } from "./dom.js";

const LEAST = 0.04; // of a side; a smaller box was a click
const STEP = 0.02;

/**
 * Show a photo to be cropped in a place. `changed(box)` is told the box as the API takes it,
 * "left,top,right,bottom" as shares of the photo; null without one.
 */
export async function cropper(place, file, changed) {
  const image = el("img", { src: URL.createObjectURL(file), alt: "Your photo" });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  const frame = el("div", {
    class: "frame", tabIndex: 0, role: "group",
    "aria-label": "Draw a box around the item. With keys: Enter makes a box, arrows move it, with shift they change its size, Escape removes it.",
  });
  fill(place, image, frame);
  await image.decode();
  let box = null; // left, top, width, height as shares of the photo
  let from = null;

  function draw() {
    if (!box) return fill(frame);
    const shown = el("div", { class: "box" });
    const [left, top, width, height] = box.map((share) => `${100 * share}%`);
    Object.assign(shown.style, { left, top, width, height });
    fill(frame, shown);
  }
  function tell() {
    draw();
    return changed(box ? corners(box) : null);
  }
  const at = (event) => {
    const around = frame.getBoundingClientRect();
    return [
      clamp((event.clientX - around.left) / around.width),
      clamp((event.clientY - around.top) / around.height),
    ];
  };
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    const [x, y] = at(event);
    const inside = box && x > box[0] && x < box[0] + box[2] && y > box[1] && y < box[1] + box[3];
    from = inside ? { x, y, moved: [...box] } : { x, y };
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    if (from.moved) box = inPhoto([from.moved[0] + x - from.x, from.moved[1] + y - from.y, ...from.moved.slice(2)]);
    else box = [Math.min(x, from.x), Math.min(y, from.y), Math.abs(x - from.x), Math.abs(y - from.y)];
    draw();
  });
  frame.addEventListener("pointerup", () => {
    if (!from) return;
    from = null;
    if (box && (box[2] < LEAST || box[3] < LEAST)) box = null;
    tell();
  });
  frame.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key === "Enter" && !box) box = [0.2, 0.2, 0.6, 0.6];
    else if (event.key === "Escape" && box) box = null;
    else if (event.key in moves && box) {
      const [x, y] = moves[event.key];
      box = event.shiftKey
        ? [box[0], box[1], clamp(box[2] + x, LEAST, 1 - box[0]), clamp(box[3] + y, LEAST, 1 - box[1])]
        : inPhoto([box[0] + x, box[1] + y, box[2], box[3]]);
    } else return;
    event.preventDefault();
    tell();
  });
}

const clamp = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);
const inPhoto = ([x, y, width, height]) => [clamp(x, 0, 1 - width), clamp(y, 0, 1 - height), width, height];

const corners = ([left, top, width, height]) =>
  [left, top, left + width, top + height].map((share) => clamp(share).toFixed(4)).join(",");
