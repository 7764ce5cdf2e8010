// Composites with sharp on request, and says how long each took.
// Reads one JSON request a line from stdin, answers one JSON line each on stdout.
// Usage: node sharp_worker.mjs <folder in which sharp is installed> <threads>
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const sharp = createRequire(process.argv[2] + "/package.json")("sharp");
sharp.concurrency(Number(process.argv[3]));
sharp.cache(false); // the same inputs come again and again; a hit would measure nothing

const files = new Map();
const read = (path) => {
  if (!files.has(path)) files.set(path, readFileSync(path));
  return files.get(path);
};

// The two steps of the specification: an encoded picture lies between them.
async function twoStep({ cutout, background }) {
  const { width, height } = await sharp(cutout).metadata();
  const scene = await sharp(background).resize(width, height, { fit: "cover" }).toBuffer();
  return sharp(scene)
    .composite([{ input: cutout, blend: "over" }])
    .jpeg({ quality: 90 })
    .toBuffer();
}

async function oneStep({ cutout, background }) {
  const { width, height } = await sharp(cutout).metadata();
  return sharp(background)
    .resize(width, height, { fit: "cover" })
    .composite([{ input: cutout, blend: "over" }])
    .jpeg({ quality: 90 })
    .toBuffer();
}

// The cut-out decoded before and kept, its box only: what our own fastest way does.
async function inMemory({ box, background, width, height }) {
  return sharp(background)
    .resize(width, height, { fit: "cover" })
    .composite([box])
    .jpeg({ quality: 90 })
    .toBuffer();
}

const ways = { "two-step": twoStep, "one-step": oneStep, "in-memory": inMemory };
const boxes = new Map();

async function inputs(request) {
  const cutout = read(request.cutout);
  const background = read(request.background);
  if (request.way !== "in-memory") return { cutout, background };
  if (!boxes.has(request.cutout)) {
    const [left, top, right, bottom] = request.box;
    const raw = await sharp(cutout)
      .extract({ left, top, width: right - left, height: bottom - top })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = raw.info;
    boxes.set(request.cutout, { input: raw.data, raw: { width, height, channels }, left, top });
  }
  const { width, height } = await sharp(cutout).metadata();
  return { box: boxes.get(request.cutout), background, width, height };
}

// Of resident memory, KiB; Linux only.
const resident = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]);

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
say({ sharp: sharp.versions.sharp, vips: sharp.versions.vips, node: process.version });

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const given = await inputs(request);
  const before = resident("VmRSS");
  writeFileSync("/proc/self/clear_refs", "5"); // start counting the peak again
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  const jpeg = await ways[request.way](given);
  const wall = Number(process.hrtime.bigint() - start) / 1e6;
  const used = process.cpuUsage(cpu);
  if (request.save) writeFileSync(request.save, jpeg);
  say({
    wall,
    cpu: (used.user + used.system) / 1e3,
    bytes: jpeg.length,
    peak: (resident("VmHWM") - before) / 1024,
  });
}
