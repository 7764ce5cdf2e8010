// Repairs a cut-out: strokes are drawn here at once, and the server answers with what came of them.
"use strict";

const root = document.querySelector("[data-repair]");
const canvas = root.querySelector("canvas");
const says = document.querySelector("[data-says]");
const undo = document.querySelector("[data-undo]");
const redo = document.querySelector("[data-redo]");
const save = document.querySelector("[data-save]");
const size = document.querySelector("[data-size]");
const tolerance = document.querySelector("[data-tolerance]");
const zoom = document.querySelector("[data-zoom]");
const green = document.querySelector("[data-green]");
const address = window.location.pathname;
const headers = { "X-CSRF-Token": root.dataset.token, "Content-Type": "application/json" };
const context = canvas.getContext("2d");
const STROKES = ["keep", "remove"];
const PINK = [214, 40, 120];
const GREEN = [30, 170, 80];
const TINTED = 0.62;
const SMALLEST_STEP = 0.0015; // of the longer side: more corners say nothing more
let photo = null;
let alpha = null;
let shade = null;
let done = [];
let undone = [];
let stroke = null;
let asked = 0;

const tool = () => document.querySelector('[name="tool"]:checked').value;
const say = (text) => (says.textContent = text);
const longer = () => Math.max(canvas.width, canvas.height);

function draw() {
  if (!photo) return;
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  if (shade) context.drawImage(shade, 0, 0, canvas.width, canvas.height);
  if (!stroke) return;
  context.strokeStyle = stroke.tool === "keep" ? "rgb(40 170 90 / 60%)" : "rgb(214 40 120 / 60%)";
  context.lineWidth = stroke.size * longer();
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  stroke.points.forEach(([x, y], place) => {
    const at = [x * canvas.width, y * canvas.height];
    if (place) context.lineTo(...at);
    else context.moveTo(...at);
  });
  if (stroke.points.length === 1) context.lineTo(stroke.points[0][0] * canvas.width + 0.1, stroke.points[0][1] * canvas.height);
  context.stroke();
}

// What is left out, as a tint over the photo.
function tinted() {
  const colour = green.checked ? GREEN : PINK;
  const made = document.createElement("canvas");
  [made.width, made.height] = [alpha.width, alpha.height];
  const pen = made.getContext("2d");
  pen.drawImage(alpha, 0, 0);
  const pixels = pen.getImageData(0, 0, made.width, made.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const left = pixels.data[at];
    pixels.data.set(colour, at);
    pixels.data[at + 3] = (255 - left) * TINTED;
  }
  pen.putImageData(pixels, 0, 0);
  return made;
}

const ask = (path) =>
  fetch(`${address}${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify({ digest: root.dataset.digest, operations: done }),
  });

async function preview() {
  const mine = ++asked;
  const answer = await ask("/preview");
  if (mine !== asked) return; // a later stroke has been asked for
  if (!answer.ok) return say(message(await answer.text(), "That could not be done. Try again."));
  alpha = await createImageBitmap(await answer.blob());
  shade = tinted();
  stroke = null;
  draw();
  undo.disabled = save.disabled = !done.length;
  redo.disabled = !undone.length;
  say(done.length ? `${done.length} ${done.length === 1 ? "change" : "changes"}, not used yet.` : "No changes yet.");
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1e5) / 1e5;
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

function begin(event) {
  if (!photo || stroke || event.button) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  stroke = { tool: tool(), points: [place(event)], size: Number(size.value) / 1000, tolerance: Number(tolerance.value) };
  draw();
}

function go(event) {
  if (!stroke || !STROKES.includes(stroke.tool) || !canvas.hasPointerCapture(event.pointerId)) return;
  const [x, y] = place(event);
  const [lastX, lastY] = stroke.points.at(-1);
  const step = Math.hypot((x - lastX) * canvas.width, (y - lastY) * canvas.height) / longer();
  if (step < SMALLEST_STEP || stroke.points.length >= 2000) return;
  stroke.points.push([x, y]);
  draw();
}

function end(event) {
  if (!stroke || !canvas.hasPointerCapture(event.pointerId)) return;
  canvas.releasePointerCapture(event.pointerId);
  done.push(stroke);
  undone = [];
  preview();
}

undo.addEventListener("click", () => {
  undone.push(done.pop());
  preview();
});
redo.addEventListener("click", () => {
  done.push(undone.pop());
  preview();
});
save.addEventListener("click", async () => {
  save.disabled = true;
  say("Storing the cut-out …");
  const answer = await ask("");
  if (answer.ok) {
    done = [];
    window.location.assign((await answer.json()).next);
  } else {
    save.disabled = false;
    say(message(await answer.text(), "The cut-out was not stored. Try again."));
  }
});
green.addEventListener("change", () => {
  if (alpha) shade = tinted();
  draw();
});
zoom.addEventListener("input", () => {
  const whole = zoom.value === "100";
  canvas.style.width = whole ? "" : `${zoom.value}%`;
  canvas.style.maxWidth = canvas.style.maxHeight = whole ? "" : "none";
});
canvas.addEventListener("pointerdown", begin);
canvas.addEventListener("pointermove", go);
canvas.addEventListener("pointerup", end);
canvas.addEventListener("pointercancel", () => {
  stroke = null;
  draw();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "u" && !undo.disabled) return undo.click();
  if (event.key === "y" && !redo.disabled) return redo.click();
  const chosen = document.querySelector(`[data-tools] [data-key="${CSS.escape(event.key)}"]`);
  if (chosen) chosen.checked = true;
});
window.addEventListener("beforeunload", (event) => {
  if (done.length) event.preventDefault();
});

const image = new Image();
image.addEventListener("load", () => {
  photo = image;
  // Strokes are seen at the size of the photo that was sent, not of the one that is stored.
  const shrink = Math.min(1, Math.max(image.naturalWidth, image.naturalHeight) / longer());
  [canvas.width, canvas.height] = [canvas.width * shrink, canvas.height * shrink];
  preview();
});
image.addEventListener("error", () => say("The photo could not be loaded. Reload the page."));
image.src = root.dataset.photo;
