"use strict";

// Keys and names of verdicts, by what is judged.
const VERDICTS = {
  sides: [
    ["left", "left is better", ["1", "ArrowLeft"]],
    ["tie", "tie", ["2", "0", "ArrowDown"]],
    ["right", "right is better", ["3", "ArrowRight"]],
  ],
  rating: [
    ["good", "good", ["1", "g"]],
    ["unsure", "hard to say", ["2", "u"]],
    ["bad", "bad", ["3", "b"]],
  ],
};
const MOVES = { j: "back", k: "on", x: "clear", n: "open" };

const $ = (selector) => document.querySelector(selector);
let subject = null;
let at = 0;
let busy = false;

function show(problem) {
  $("#problem").textContent = problem || "";
  $("#problem").hidden = !problem;
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.error || `the server answered ${response.status}`);
  }
  return response;
}

function picture(figure, there, role) {
  const image = figure.querySelector("img");
  image.hidden = !there;
  if (there) image.src = `/images/${at}/${role}`;
  else image.removeAttribute("src");
}

function side(name, content) {
  const article = $(`#${name}`);
  picture(article, Boolean(content && content.image), name);
  const list = article.querySelector("ol");
  const lines = ((content && content.texts) || []).map((text) => {
    const line = document.createElement("li");
    line.dir = "auto";
    line.textContent = text;
    return line;
  });
  list.replaceChildren(...lines);
  list.hidden = lines.length === 0;
}

function draw() {
  const item = subject.items[at];
  const judged = subject.items.filter((other) => other.verdict !== null).length;
  $("#question").textContent = subject.question;
  $("#progress").textContent = `item ${at + 1} of ${subject.items.length}, ${judged} judged`;
  $("#bar").max = subject.items.length;
  $("#bar").value = judged;
  $("#result").hidden = true;
  $("#item").hidden = false;
  picture($("#query"), true, "query");
  $("#target").hidden = !item.target;
  picture($("#target"), item.target, "target");
  $("#instruction").textContent = item.instruction || "";
  $("#instruction").hidden = item.instruction === null;
  $("#sides").hidden = subject.kind === "rating";
  side("left", item.left);
  side("right", item.right);
  for (const button of document.querySelectorAll("#verdicts button")) {
    button.setAttribute("aria-pressed", String(button.dataset.verdict === item.verdict));
  }
}

async function finish() {
  const text = await (await ask("/api/result")).text();
  $("#result pre").textContent = text;
  $("#item").hidden = true;
  $("#result").hidden = false;
}

// To the next item without a verdict, from the one after this on; or to the end.
async function open() {
  const count = subject.items.length;
  for (let step = 1; step <= count; step += 1) {
    const next = (at + step) % count;
    if (subject.items[next].verdict === null) {
      at = next;
      return draw();
    }
  }
  draw();
  return finish();
}

async function give(verdict) {
  if (busy || $("#item").hidden) return;
  busy = true;
  try {
    await ask("/api/verdicts", { item: at, verdict });
    subject.items[at].verdict = verdict;
    show("");
    if (verdict === null) draw();
    else await open();
  } catch (error) {
    show(`Not kept: ${error.message}`);
  } finally {
    busy = false;
  }
}

function move(name) {
  if (busy) return;
  const last = subject.items.length - 1;
  if (name === "open") open().catch((error) => show(error.message));
  else if (name === "clear") give(null);
  else {
    if (!$("#item").hidden) at = Math.min(last, Math.max(0, at + (name === "back" ? -1 : 1)));
    draw();
  }
}

function begin(loaded) {
  subject = loaded;
  const buttons = VERDICTS[subject.kind].map(([verdict, label, keys]) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = keys[0];
    button.dataset.verdict = verdict;
    button.append(key, ` ${label}`);
    button.addEventListener("click", () => give(verdict));
    return button;
  });
  $("#verdicts").replaceChildren(...buttons);
  for (const button of document.querySelectorAll("[data-move]")) {
    button.addEventListener("click", () => move(button.dataset.move));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const found = VERDICTS[subject.kind].find(([, , keys]) => keys.includes(event.key));
    if (!found && !MOVES[event.key]) return;
    event.preventDefault();
    if (found) give(found[0]);
    else move(MOVES[event.key]);
  });
  at = subject.items.length - 1;
  return open();
}

ask("/api/items").then((response) => response.json()).then(begin)
  .catch((error) => show(error.message));
