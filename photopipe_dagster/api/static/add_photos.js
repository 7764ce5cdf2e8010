// Adds photos: files are read here, matched and priced by the server, and sent one after another.
"use strict";

const root = document.querySelector("[data-add]");
const list = root.querySelector("[data-list]");
const says = root.querySelector("[data-says]");
const start = root.querySelector("[data-start]");
const theme = root.querySelector("#theme");
const products = root.querySelector("#products");
const maxFiles = Number(root.dataset.maxFiles);
const maxBytes = Number(root.dataset.maxBytes);
const headers = { "X-CSRF-Token": root.dataset.token };
const photos = [];
let asked = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function digest(file) {
  if (!window.crypto?.subtle) return undefined; // only pages of HTTPS and of this machine may
  const bytes = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A small picture of the file; says what is no picture.
async function draw(photo) {
  const bitmap = await createImageBitmap(photo.file);
  photo.width = bitmap.width;
  photo.height = bitmap.height;
  const canvas = element("canvas", { className: "thumb", width: 112, height: 112 });
  const scale = Math.min(112 / bitmap.width, 112 / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  canvas.getContext("2d").drawImage(bitmap, (112 - width) / 2, (112 - height) / 2, width, height);
  bitmap.close();
  photo.row.querySelector(".thumb").replaceWith(canvas);
}

function addRow(file) {
  const number = photos.length + 1;
  const sku = element("input", { id: `sku-${number}`, maxLength: 255, autocomplete: "off" });
  sku.setAttribute("list", "products");
  const remark = element("span", { className: "why" });
  const remove = element("button", { type: "button", className: "quiet", textContent: "Remove" });
  remove.append(element("span", { className: "hidden", textContent: ` ${file.name}` }));
  const label = element("label", { htmlFor: sku.id, textContent: `SKU of ${file.name}` });
  const text = element("div", { className: "stack" }, label, sku, remark);
  const row = element("li", {}, element("span", { className: "thumb none" }), text, remove);
  const photo = { file, row, sku, remark, state: "new" };
  photos.push(photo);
  list.append(row);
  sku.addEventListener("change", preview);
  sku.addEventListener("input", () => suggest(sku.value));
  remove.addEventListener("click", () => {
    photos.splice(photos.indexOf(photo), 1);
    row.remove();
    preview();
  });
  return photo;
}

async function add(files) {
  for (const file of files) {
    if (photos.length === maxFiles) {
      say(`Only ${maxFiles} photos at a time: add the others afterwards.`);
      break;
    }
    const photo = addRow(file);
    if (file.size > maxBytes) {
      refuse(photo, "The file is too large.");
      continue;
    }
    try {
      await draw(photo);
      photo.sha256 = await digest(file);
    } catch {
      refuse(photo, "This browser cannot read it as a picture.");
    }
  }
  preview();
}

function refuse(photo, why) {
  photo.state = "refused";
  photo.remark.textContent = why;
}

function say(text) {
  says.textContent = text;
}

async function suggest(text) {
  if (text.length < 2) return;
  const answer = await fetch(`/photos/products?text=${encodeURIComponent(text)}`);
  if (!answer.ok) return;
  const found = await answer.json();
  products.replaceChildren(
    ...found.map((each) => element("option", { value: each.sku, label: `${each.sku} ${each.title}` }))
  );
}

const open = () => photos.filter((photo) => photo.state === "new" || photo.state === "failed");

async function preview() {
  const mine = ++asked;
  const wanted = open();
  start.disabled = true;
  if (!wanted.length) return say(photos.length ? "Nothing left to add." : "No photos chosen yet.");
  const files = wanted.map((photo) => ({
    name: photo.file.name,
    sku: photo.sku.value.trim(),
    ...(photo.sha256 && { sha256: photo.sha256 }),
    width: photo.width || 0,
    height: photo.height || 0,
  }));
  const answer = await fetch("/photos/preview", {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ theme: theme.value, files }),
  });
  if (mine !== asked) return;
  if (!answer.ok) return say(message(await answer.text(), "The photos could not be priced."));
  const found = await answer.json();
  found.files.forEach((each, place) => {
    const photo = wanted[place];
    if (!photo.sku.value) photo.sku.value = each.sku;
    photo.remark.textContent = [each.title, each.cost, each.remark].filter(Boolean).join(" · ");
  });
  const ready = wanted.filter((photo) => photo.sku.value.trim()).length;
  start.textContent = `Add ${ready} ${ready === 1 ? "photo" : "photos"}, ${
    found.total === "free" ? "free" : `up to ${found.total}`
  }`;
  start.disabled = !ready;
  const missing = wanted.length - ready;
  say([missing ? `${missing} without a SKU stay here.` : "", ...found.short].join(" ").trim());
}

function send(photo) {
  return new Promise((resolve) => {
    const form = new FormData();
    form.append("file", photo.file);
    form.append("sku", photo.sku.value.trim());
    form.append("theme", theme.value);
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Sending ${photo.file.name}`);
    photo.remark.replaceChildren(bar);
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.addEventListener("loadend", () => {
      if (request.status === 200 || request.status === 201) {
        const { job, created } = JSON.parse(request.responseText);
        photo.state = "sent";
        photo.sku.disabled = true;
        const link = element("a", { href: `/jobs/${job}`, textContent: "See its job" });
        photo.remark.replaceChildren(created ? "Added. " : "Already known. ", link);
      } else {
        photo.state = "failed"; // it can be sent again
        photo.remark.textContent = message(request.responseText, "It was not sent: try again.");
      }
      resolve();
    });
    request.open("POST", "/photos");
    request.setRequestHeader("X-CSRF-Token", headers["X-CSRF-Token"]);
    request.send(form);
  });
}

start.addEventListener("click", async () => {
  const wanted = open().filter((photo) => photo.sku.value.trim());
  start.disabled = true;
  for (const [place, photo] of wanted.entries()) {
    say(`Sending ${place + 1} of ${wanted.length} …`);
    await send(photo);
  }
  const sent = wanted.filter((photo) => photo.state === "sent").length;
  await preview();
  say(`${sent} of ${wanted.length} added.`);
});

root.querySelectorAll('input[type="file"]').forEach((input) =>
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = "";
  })
);
theme.addEventListener("change", preview);
const drop = root.querySelector("[data-drop]");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  add([...event.dataTransfer.files].filter((file) => file.type.startsWith("image/")));
});
