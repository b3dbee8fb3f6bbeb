// Follows the stage: refetches a pane when something new stands in it. Without this script the page works by reloading.
"use strict";

const here = new URLSearchParams(location.search);
const panes = ["mail", "room", "web"];
const busy = {};
let awaited = null;

async function refresh(pane) {
  if (busy[pane]) { busy[pane] = "again"; return; }
  busy[pane] = "now";
  const view = document.getElementById(`${pane}-view`);
  try {
    const answer = await fetch(`/pane/${pane}?${here}`);
    if (answer.ok) show(view, await answer.text());
  } catch { /* the demo is restarting: the event stream comes back by itself */ }
  const again = busy[pane] === "again";
  busy[pane] = null;
  if (again) refresh(pane);
}

function show(view, html) {
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  const frame = view.querySelector("iframe.page"), next = fresh.querySelector("iframe.page");
  if (frame && next) {
    if ((view.querySelector("iframe.next") || frame).getAttribute("src") === next.getAttribute("src")) return;
    const last = view.querySelector("iframe.next");
    if (last) last.remove();
    next.classList.add("next");
    next.addEventListener("load", () => { frame.remove(); next.classList.remove("next"); });
    view.append(next);  // shown when it has loaded, so that nothing flickers
    return;
  }
  const low = view.scrollHeight - view.scrollTop - view.clientHeight < 80;
  const before = new Set([...view.querySelectorAll(".new")].map(one => one.id));
  const open = [...view.querySelectorAll("details[open]")].map(one => `${one.closest("[id]").id} ${one.className}`);
  for (const one of fresh.querySelectorAll(".new")) if (before.has(one.id)) one.classList.add("known");
  view.replaceChildren(...fresh.childNodes);
  for (const one of view.querySelectorAll("details")) one.open = open.includes(`${one.closest("[id]").id} ${one.className}`);
  reveal(view);
  const news = [...view.querySelectorAll(".new:not(.known)")].pop();
  if (news) news.scrollIntoView({ block: "nearest" });
  else if (low) view.scrollTop = view.scrollHeight;
}

function reveal(root) {
  for (const button of root.querySelectorAll("button.answer")) button.hidden = false;
}

document.addEventListener("click", event => {
  const button = event.target.closest("button.answer");
  if (!button) return;
  const form = document.querySelector("#mail form.say");
  form.to.value = button.dataset.to;
  form.text.placeholder = `Reply to ${button.dataset.name}`;
  form.text.focus();
});

document.addEventListener("submit", async event => {
  const form = event.target.closest("form.say");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
  const said = await answer.json().catch(() => ({ problem: "The stage did not answer." }));
  button.disabled = false;
  document.getElementById("status").textContent = said.problem || "";
  if (said.problem) return;
  form.text.value = "";
  if (form.subject) form.subject.value = "";
  if (form.to) form.to.value = "";
  awaited = here.get("thread") ? null : said.number;
});

document.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
});

const stream = new EventSource("/events");
stream.addEventListener("open", () => panes.forEach(refresh));  // what came while nobody listened
stream.addEventListener("look", () => panes.forEach(refresh));
stream.addEventListener("status", event => {
  const line = document.getElementById("status");
  line.textContent = JSON.parse(event.data);
  if (!document.querySelector("#room .message")) refresh("room");
});
stream.addEventListener("opened", event => {
  const opened = JSON.parse(event.data);
  if (opened.number === awaited) location.search = `?forum=${opened.page[0]}&thread=${opened.page[1]}`;
});

reveal(document);
for (const pane of panes) {
  const view = document.getElementById(`${pane}-view`);
  if (pane !== "web" && (here.get("thread") || pane === "room")) view.scrollTop = view.scrollHeight;
}
