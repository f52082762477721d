// The map: items where they stand, as photos that grow as one comes closer.

import { read, show } from "./api.js";
import { attempt, byId, tell } from "./dom.js";

const PHOTO = 26; // pixels of a photo when the whole map is seen
const LARGEST = 96;
const RIM = 0.05;
let places = null;
let generation = null;
let view = { x: 0.5, y: 0.5, zoom: 1 };
let opened = false;
const canvas = byId("map");

export async function openMap() {
  if (!opened) listen();
  opened = true;
  await attempt(byId("map-status"), async () => {
    const found = await read("v1/map");
    if (found.generation !== generation) {
      generation = found.generation;
      places = found.places.map((place) => ({ ...place, photo: null }));
    }
    tell(byId("map-status"), places.length ? `${places.length} items` : "This index was built before there were maps. Index the catalogue again.");
    draw();
  });
}

const across = () => canvas.clientWidth * (1 - 2 * RIM) * view.zoom;
const down = () => canvas.clientHeight * (1 - 2 * RIM) * view.zoom;
const side = () => Math.min(PHOTO * Math.sqrt(view.zoom), LARGEST);
const onScreen = ({ x, y }) => [
  canvas.clientWidth / 2 + (x - view.x) * across(),
  canvas.clientHeight / 2 + (y - view.y) * down(),
];

let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paint(); });
}

function paint() {
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = getComputedStyle(canvas).color;
  const size = side();
  const taken = new Set(); // cells that a photo stands in: the others of a cell are dots
  const photos = [];
  pen.globalAlpha = 0.35;
  for (const place of places || []) {
    const [x, y] = onScreen(place);
    if (x < -size || y < -size || x > canvas.clientWidth + size || y > canvas.clientHeight + size) continue;
    const cell = `${Math.floor(place.x * across() / size)}/${Math.floor(place.y * down() / size)}`;
    if (taken.has(cell)) pen.fillRect(x - 1, y - 1, 2, 2);
    else photos.push([place, x, y]);
    taken.add(cell);
  }
  pen.globalAlpha = 1;
  for (const [place, x, y] of photos) {
    if (!place.photo) {
      place.photo = new Image();
      place.photo.onload = draw;
      show(place.photo, `${place.image}?side=${LARGEST}`);
    }
    if (place.photo.complete && place.photo.naturalWidth) pen.drawImage(place.photo, x - size / 2, y - size / 2, size, size);
  }
}

/** The item whose photo is nearest to a point of the canvas; null if none is near. */
function nearest(px, py) {
  let best = null;
  let least = side();
  for (const place of places || []) {
    const [x, y] = onScreen(place);
    const distance = Math.hypot(x - px, y - py);
    if (distance < least) [best, least] = [place, distance];
  }
  return best;
}

function zoomAt(px, py, factor) {
  const before = [across(), down()];
  view.zoom = Math.min(Math.max(view.zoom * factor, 0.8), 60);
  view.x += (px - canvas.clientWidth / 2) * (1 / before[0] - 1 / across());
  view.y += (py - canvas.clientHeight / 2) * (1 / before[1] - 1 / down());
  draw();
}

const go = (place) => { if (place) location.hash = `search/${encodeURIComponent(place.id)}`; };

function listen() {
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      const place = nearest(event.offsetX, event.offsetY);
      canvas.title = place ? place.id : "";
      return;
    }
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const apart = (one) => Math.hypot(one.offsetX - other.offsetX, one.offsetY - other.offsetY);
      zoomAt(other.offsetX, other.offsetY, apart(event) / Math.max(apart(before), 1));
    } else {
      view.x -= (event.offsetX - before.offsetX) / across();
      view.y -= (event.offsetY - before.offsetY) / down();
    }
    moved += Math.abs(event.offsetX - before.offsetX) + Math.abs(event.offsetY - before.offsetY);
    fingers.set(event.pointerId, event);
    draw();
  });
  const up = (event) => {
    if (fingers.delete(event.pointerId) && moved < 6 && !fingers.size) go(nearest(event.offsetX, event.offsetY));
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY / 400));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    if (event.key in moves) {
      view.x += (moves[event.key][0] * 40) / across();
      view.y += (moves[event.key][1] * 40) / down();
    } else if (event.key === "+" || event.key === "=") zoomAt(...middle, 1.3);
    else if (event.key === "-") zoomAt(...middle, 1 / 1.3);
    else if (event.key === "Enter") go(nearest(...middle));
    else return;
    event.preventDefault();
    draw();
  });
  addEventListener("resize", draw);
}
