// What pages do beyond links and forms. Everything works without it, only less comfortably.
"use strict";

// Before and after under one slider.
function compare(root) {
  const slider = root.querySelector("input");
  const show = () => root.style.setProperty("--at", `${slider.value}%`);
  root.classList.add("live");
  slider.hidden = false;
  slider.value = 50;
  slider.addEventListener("input", show);
  show();
}

// A question before what cannot be taken back easily.
function confirmSubmit(event) {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}

// A form that is sent twice in a hurry is sent once; what takes a while says so on its button.
function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  const button = event.submitter;
  if (!button || !form.dataset.busy) return;
  button.dataset.says = button.textContent;
  button.textContent = form.dataset.busy;
  button.setAttribute("aria-busy", "true");
}

// Who comes back to a page finds its forms as they were before they were sent.
function sendAgain() {
  document.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => {
      button.textContent = button.dataset.says;
      button.removeAttribute("aria-busy");
    });
  });
}

// Who names SKUs means these, not all products.
function meanNamed(event) {
  if (event.target.matches("#skus, #file")) {
    event.target.form.querySelector('[name="products"][value="named"]').checked = true;
  }
}

// Keys of the review: letters press buttons, arrows go to the next picture.
function pressKey(event) {
  const review = document.querySelector("[data-review]");
  const writes = event.target.matches("input:not([type=range]), select, textarea");
  if (!review || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (writes) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  // On the slider, arrows move the slider.
  if (event.key.startsWith("Arrow") && event.target.matches("input")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const target = review.querySelector(`[data-key="${CSS.escape(name)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input")) target.focus();
  else target.click();
}

// Enter in the reason rejects: the form's first button would approve.
function rejectOnEnter(event) {
  if (event.key !== "Enter" || event.target.id !== "reason") return;
  event.preventDefault();
  event.target.form.querySelector('[value="reject"]').click();
}

// A button that needs a field asks for it instead of sending the form.
function needField(event) {
  const button = event.target.closest("[data-needs]");
  const field = button && document.getElementById(button.dataset.needs);
  if (!field) return;
  field.setCustomValidity(field.value.trim() ? "" : "Say why: the reason is kept with the job.");
  if (!field.reportValidity()) event.preventDefault();
}

// Pages about what is under way look again, unless somebody is using them.
function refresh(main) {
  const again = () => setTimeout(look, Number(main.dataset.refresh) * 1000);
  async function look() {
    const used = main.contains(document.activeElement) && document.activeElement !== main;
    if (document.hidden || used || main.querySelector("details[open]")) return again();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return again();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      // What the page said stays in its place: put in again, it would be read out each time.
      const said = ':scope > .notice[role="status"]';
      const kept = main.querySelector(said);
      fresh.querySelector(said)?.remove();
      [...main.childNodes].filter((each) => each !== kept).forEach((each) => each.remove());
      main.append(...fresh.childNodes);
      main.querySelectorAll("[data-compare]").forEach(compare);
      if (fresh.dataset.refresh) {
        main.dataset.refresh = fresh.dataset.refresh;
        again();
      }
    } catch {
      again(); // the server is away for a moment
    }
  }
  again();
}

// The ground line of a scene, dragged where products are to stand.
function dragGround(root) {
  const [line, field] = [root.querySelector("line"), document.getElementById("f-ground")];
  if (!field || field.readOnly) return;
  const draw = (share) => ["y1", "y2"].forEach((end) => line.setAttribute(end, 100 * share));
  field.addEventListener("input", () => draw(field.value));
  root.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    root.setPointerCapture(event.pointerId);
    move(event);
    root.addEventListener("pointermove", move);
  });
  root.addEventListener("pointerup", () => root.removeEventListener("pointermove", move));
  function move(event) {
    const box = root.getBoundingClientRect();
    const share = Math.min(0.99, Math.max(0.01, (event.clientY - box.top) / box.height));
    field.value = share.toFixed(3);
    draw(share);
  }
}

document.querySelectorAll("[data-scene]").forEach(dragGround);
// The pictures of a theme follow its form: the address of each says what is seen of it.
function followTheme(form) {
  const unseen = /^(prompt|alt|approval|fits\..*|csrf_token|revision|skus|action)$/;
  const pictures = document.querySelectorAll("img[data-preview]");
  let timer;
  function show(picture, query) {
    const next = new Image();
    next.onload = () => {
      if (picture.dataset.wanted === next.src) picture.src = next.src;
    };
    next.src = `${picture.dataset.preview}?${query}`;
    picture.dataset.wanted = next.src;
  }
  function look() {
    const fields = [...new FormData(form)].filter(([name]) => !unseen.test(name));
    const query = new URLSearchParams(fields);
    pictures.forEach((picture) => show(picture, query));
  }
  form.addEventListener("input", (event) => {
    const output = form.querySelector(`output[for="${CSS.escape(event.target.id)}"]`);
    if (output) {
      output.value = event.target.value;
      const off = form.elements[`${event.target.name}.off`];
      if (off) off.checked = false;
    }
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
}

document.querySelectorAll("[data-theme-form]").forEach(followTheme);
// What the server says is wrong; its errors are pages.
function message(text, otherwise) {
  const page = new DOMParser().parseFromString(text, "text/html");
  return page.querySelector("main p:not(.brand):not(.row)")?.textContent || otherwise;
}

document.querySelectorAll("[data-compare]").forEach(compare);
document.querySelectorAll("main[data-refresh]").forEach(refresh);
document.addEventListener("submit", confirmSubmit);
document.addEventListener("submit", sendOnce);
window.addEventListener("pageshow", sendAgain);
document.addEventListener("input", meanNamed);
document.addEventListener("keydown", rejectOnEnter);
document.addEventListener("keydown", pressKey);
document.addEventListener("click", needField);
