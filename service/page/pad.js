// A pad to draw on with mouse, finger or pen: lines of points.

/** Make a canvas a pad; returns `lines()` and `clear()`. */
export function pad(canvas, changed) {
  const lines = [];
  let line = null;
  const at = (event) => {
    const share = canvas.width / canvas.clientWidth;
    return [Math.round(event.offsetX * share), Math.round(event.offsetY * share)];
  };
  function draw() {
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    Object.assign(pen, { lineWidth: 4, lineCap: "round", lineJoin: "round", strokeStyle: "#191923" });
    for (const one of lines) {
      pen.beginPath();
      one.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      if (one.length === 1) pen.lineTo(one[0][0] + 0.1, one[0][1]);
      pen.stroke();
    }
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    line = [at(event)];
    lines.push(line);
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!line) return;
    const [x, y] = at(event);
    const [left, top] = line[line.length - 1];
    if (Math.hypot(x - left, y - top) < 3) return;
    line.push([x, y]);
    draw();
  });
  const end = () => { if (line) { line = null; changed(); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  return {
    lines: () => lines,
    clear: () => { lines.length = 0; draw(); },
  };
}
