// A photo of which the upper part is known and the rest is to be drawn.

const SIDE = 256; // pixels of the longer side

/** Make a canvas such a photo; `moved(share)` is told where a pointer puts the border. */
export function known(canvas, moved) {
  let photo = null;
  let top = 0; // rows that are known

  function draw() {
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = photo.width > SIDE;
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    pen.fillStyle = "#808080";
    pen.fillRect(0, top, canvas.width, canvas.height - top);
  }
  function keep(share) {
    if (!photo) return;
    top = Math.round(share * canvas.height);
    draw();
  }
  const follow = (event) => { if (event.buttons && photo) moved(Math.min(Math.max(event.offsetY / canvas.clientHeight, 0), 1)); };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); follow(event); });
  canvas.addEventListener("pointermove", follow);
  return {
    /** Know this share of the photo's height. */
    keep,
    /** Show a file; fails if the browser cannot. */
    async take(file, share) {
      photo = await createImageBitmap(file);
      const scale = SIDE / Math.max(photo.width, photo.height);
      canvas.width = Math.max(1, Math.round(photo.width * scale));
      canvas.height = Math.max(1, Math.round(photo.height * scale));
      keep(share);
    },
    /** What is known as the API takes it: white above, black below. */
    mask() {
      const drawn = new OffscreenCanvas(canvas.width, canvas.height);
      const pen = drawn.getContext("2d");
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, top);
      return drawn.convertToBlob({ type: "image/png" });
    },
  };
}
