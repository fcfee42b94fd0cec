// The desk: its keys, the board of a ranking, what is asked when. Its form works without this file; `keep` is keep.js.

const $ = (id) => document.getElementById(id);
const form = () => $("answer");
const cards = () => [...form().querySelectorAll(".output")];
const cardOf = (letter) => form().querySelector(`.output[data-letter="${letter}"]`);
const words = (name, values = {}) => $("words").dataset[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const seen = (element) => element.checkVisibility();

let current = 0; // the card in hand, by its number
let snapshots = []; // of the fields, each before a change
let snapshot = "";

function say(text) {
  $("live").textContent = text;
}

function changed() {
  form().dispatchEvent(new Event("change", { bubbles: true }));
}

// --- The board of a ranking. The radio buttons on the cards, and the list of the line, are what is sent.

const boards = () => [...form().querySelectorAll(".board")];
const radios = (key, letter) => [...cardOf(letter).querySelectorAll(`.places[data-q="${key}"] input`)];
const tierOf = (key, letter) => Number(radios(key, letter).find((radio) => radio.checked)?.value ?? 0);
const lineOf = (key) => form().querySelector(`select[data-line="${key}"]`);
const letters = () => cards().map((card) => card.dataset.letter);
let board = ""; // the key of the ranking in hand

function setTier(key, letter, tier) {
  for (const radio of radios(key, letter)) radio.checked = Number(radio.value) === tier;
}

function tiers(key) {
  const rows = letters().map(() => []);
  for (const letter of letters()) rows[tierOf(key, letter) - 1]?.push(letter);
  return rows;
}

function place(letter, tier, key = board) {
  if (tier > letters().length) return;
  setTier(key, letter, tier);
  sayPlace(key, letter);
  changed();
}

function sayPlace(key, letter) {
  const tier = tierOf(key, letter);
  const tied = tier ? tiers(key)[tier - 1].filter((other) => other !== letter) : [];
  say(words(!tier ? "out" : tied.length ? "tied" : "placed", { letter, tier, others: tied.join(", ") }));
}

/** Put a card below the first `above` tiers: the rows after it move down, or where they cannot, those before up.
 * `acceptable`: on which side of the line, where the line is just there. */
function insert(letter, above, acceptable, key = board) {
  setTier(key, letter, 0);
  const rows = tiers(key);
  const line = lineOf(key);
  const cut = line?.value ? Number(line.value) : NaN;
  let free = rows.findIndex((row, at) => at >= above && !row.length);
  const step = free >= 0 ? 1 : -1;
  if (step < 0) free = rows.findLastIndex((row, at) => at < above && !row.length);
  const [first, last] = step > 0 ? [above, free - 1] : [free + 1, above - 1];
  for (let at = first; at <= last; at++) for (const other of rows[at]) setTier(key, other, at + 1 + step);
  const moved = step > 0 ? cut > first && cut <= free : cut >= first && cut < above;
  if (cut === above ? acceptable === step > 0 : moved) line.value = cut + step;
  place(letter, step > 0 ? above + 1 : above, key);
}

/** One step up or down: out of a tie, into the next tier, or to the next free place. */
function move(letter, by, key = board) {
  const tier = tierOf(key, letter);
  if (!tier) {
    const last = tiers(key).findLastIndex((row) => row.length) + 1;
    return place(letter, Math.min(last + 1, letters().length), key);
  }
  if (tiers(key)[tier - 1].length > 1) return insert(letter, by < 0 ? tier - 1 : tier, by > 0, key);
  if (tier + by >= 1) place(letter, tier + by, key);
}

function moveLine(by, key = board) {
  const line = lineOf(key);
  if (!line) return;
  const rows = tiers(key);
  const most = rows.findLastIndex((row) => row.length) + 1;
  let to = line.value === "" ? (by > 0 ? 0 : most + 1) : Number(line.value);
  do to += by;
  while (to > 0 && to < most && !rows[to - 1].length);
  setLine(key, Math.max(0, Math.min(to, most)));
}

function setLine(key, tier) {
  const line = lineOf(key);
  line.value = tier;
  say(words("lined", { what: line.selectedOptions[0].text }));
  changed();
}

function tieWithAbove() {
  const before = letters().slice(0, current).findLast((letter) => tierOf(board, letter));
  if (before) place(letters()[current], tierOf(board, before));
}

function make(tag, properties, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

function chip(key, letter) {
  const tier = tierOf(key, letter);
  const ariaLabel = words(tier ? "placed" : "out", { letter, tier });
  const button = make("button", { type: "button", className: "letter", ariaLabel }, letter);
  button.dataset.drag = button.dataset.chip = letter;
  button.toggleAttribute("data-current", letters()[current] === letter);
  return button;
}

function draw(it) {
  const key = it.dataset.board;
  const line = lineOf(key);
  const focused = it.contains(document.activeElement) && document.activeElement.dataset.chip;
  const chips = (some) => make("span", { className: "cards" }, ...some.map((letter) => chip(key, letter)));
  const rows = tiers(key).map((row, at) => {
    const item = make("li", {}, make("span", {}, at + 1), chips(row));
    item.dataset.tier = at + 1;
    return item;
  });
  if (line) {
    const cut = make("li", { className: "cut" }, words("acceptable"), make("kbd", {}, "L"));
    cut.dataset.drag = "line";
    cut.toggleAttribute("data-undrawn", !line.value);
    rows.splice(line.value || rows.length, 0, cut);
  }
  it.querySelector(".tiers").replaceChildren(...rows);
  it.querySelector(".tray .cards").replaceWith(chips(letters().filter((letter) => !tierOf(key, letter))));
  it.hidden = false;
  it.toggleAttribute("data-off", form().elements[`${key}.outcome`]?.value === "not_rankable");
  if (focused) it.querySelector(`[data-chip="${focused}"]`).focus({ preventScroll: true });
}

function sayOrder() {
  const key = boards()[0]?.dataset.board;
  const line = $("order");
  line.hidden = !key;
  if (!key) return;
  let text = "";
  tiers(key).forEach((row, at) => {
    if (lineOf(key)?.value === String(at)) text += " │ ";
    else if (row.length && text && !text.endsWith("│ ")) text += " > ";
    text += row.join(" = ");
  });
  line.textContent = text.trim() && text !== " │ " ? `${words("best")} ${text.trim()}` : words("none");
}

// --- Dragging, by mouse, pen or finger

let drag = null;

document.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest("[data-drag]");
  if (!grip || event.button || !boards().length) return;
  const key = grip.closest(".board")?.dataset.board ?? board;
  drag = { what: grip.dataset.drag, key, grip, x: event.clientX, y: event.clientY, ghost: null };
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.ghost) {
    if (Math.hypot(x, y) < 6) return;
    const box = drag.grip.getBoundingClientRect();
    drag.ghost = drag.grip.cloneNode(true);
    drag.ghost.classList.add("ghost");
    drag.ghost.removeAttribute("data-drag");
    Object.assign(drag.ghost.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px` });
    $("desk").append(drag.ghost);
    getSelection().removeAllRanges();
  }
  drag.ghost.style.transform = `translate(${drag.what === "line" ? 0 : x}px, ${y}px)`;
  const { row, where } = target(event);
  form().querySelectorAll("[data-drop]").forEach((other) => other !== row && other.removeAttribute("data-drop"));
  row?.setAttribute("data-drop", where);
});

/** The row under the pointer, and where in it: a tie in its middle, a place of its own at its edges. */
function target({ clientX, clientY }) {
  const row = document.elementFromPoint(clientX, clientY)?.closest(".tiers li, .tray");
  if (row?.closest(".board").dataset.board !== drag.key) return {};
  const box = row.getBoundingClientRect();
  const part = (clientY - box.y) / box.height;
  const shared = row.querySelector(`[data-tier] [data-chip]:not([data-chip="${drag.what}"])`);
  const edge = drag.what === "line" ? 0.5 : shared ? 0.25 : 0;
  return { row, where: part < edge ? "before" : part > 1 - edge ? "after" : "in" };
}

function drop(event) {
  if (!drag) return;
  const { what, key, ghost } = drag;
  const { row, where } = ghost && event.type === "pointerup" ? target(event) : {};
  ghost?.remove();
  row?.removeAttribute("data-drop");
  drag = null;
  if (!row) return;
  const tier = Number(row.dataset.tier ?? 0);
  const above = where === "before" ? tier - 1 : tier;
  if (what === "line") return row.matches(".cut") || setLine(key, tier ? above : letters().length);
  hold(letters().indexOf(what));
  if (row.matches(".cut")) insert(what, Number(lineOf(key).value || letters().length), false, key);
  else if (where === "in" || !tier) place(what, tier, key);
  else insert(what, above, where === "after", key);
}

document.addEventListener("pointerup", drop);
document.addEventListener("pointercancel", drop);

document.addEventListener("click", (event) => {
  const it = event.target.closest(".board");
  if (!it) return;
  const letter = event.target.closest("[data-chip]")?.dataset.chip;
  const tier = event.target.closest("[data-tier]")?.dataset.tier;
  board = it.dataset.board;
  if (letter) hold(letters().indexOf(letter));
  else if (tier) place(letters()[current], Number(tier));
});

// --- Cards and questions

function hold(number) {
  const all = cards();
  current = Math.max(0, Math.min(all.length - 1, number));
  all.forEach((card, at) => card.toggleAttribute("data-current", at === current));
  for (const one of form().querySelectorAll("[data-chip]")) {
    one.toggleAttribute("data-current", one.dataset.chip === all[current].dataset.letter);
  }
}

function focusCard(number = current) {
  if (covered()) return $("harm").querySelector("summary").focus();
  if (!cards().length) return form().querySelector(".stay").focus({ preventScroll: true });
  hold(number);
  cards()[current].focus({ preventScroll: true });
}

function step(by) {
  focusCard(current + by);
  cards()[current]?.scrollIntoView({ block: "nearest" });
}

function holds(question) {
  const { if: key, in: wanted, letter } = question.dataset;
  if (!key) return true;
  const found = [...form().querySelectorAll(`.q[data-q="${key}"]`)];
  const other = found.find((one) => one.dataset.letter === letter) ?? found.find((one) => !one.dataset.letter);
  if (!other) return !found.length;
  const given = [...other.querySelectorAll("input:checked")].map((input) => input.value);
  return given.some((value) => wanted.split(" ").includes(value)) && holds(other);
}

function redraw() {
  boards().forEach(draw);
  sayOrder();
  for (const question of form().querySelectorAll(".q[data-if]")) question.hidden = !holds(question);
  for (const question of form().querySelectorAll('.q[data-kind="rule"]')) {
    question.querySelector(".marks").hidden = !(question.querySelector("input:checked")?.value > 0);
  }
  for (const reason of form().querySelectorAll("[name=reason]")) {
    reason.required = form().querySelector("#skip input:checked")?.value === "other";
  }
}

const options = (question) => [...question.querySelectorAll("input[type=radio], input[type=checkbox]")].filter(seen);
const answered = (question) =>
  options(question).length
    ? options(question).some((option) => option.checked)
    : [...question.querySelectorAll("textarea, [data-spans]")].some((field) => field.value);

/** The key of an option is its number where all are numbers, else its place. */
function giveKeys(question) {
  const { kind } = question.dataset;
  if (kind === "ranking") return; // there digits are places
  const inputs = [...question.querySelectorAll(".choice:not(.none) input")].filter((input) => input.value !== "");
  const own = inputs.every((input) => /^[0-9]+$/.test(input.value)) && ["rating", "rule"].includes(kind);
  const special = kind === "pairwise" ? { 0: "0", neither: "n" } : {};
  let next = 1;
  for (const input of inputs) {
    const key = own ? input.value : (special[input.value] ?? String(next++));
    if (key.length > 1) continue;
    input.dataset.key = key;
    if (own) continue;
    input.parentElement.append(make("kbd", { ariaHidden: "true" }, key.toUpperCase()));
  }
}

function questionInHand() {
  return document.activeElement.closest(".q, .places");
}

/** A digit: the step of the question in hand, else the place of the card in hand, else the next open question. */
function choose(key) {
  const card = cards()[current];
  let question = questionInHand();
  const ranks = question ? question.matches(".places, [data-kind=ranking]") : boards().length;
  if (ranks) return place(card.dataset.letter, Number(key), question?.dataset.q ?? board);
  const all = [...(card?.querySelectorAll(".q") ?? []), ...form().querySelectorAll(".zone > .q")].filter(seen);
  const takes = all.filter((one) => one.querySelector(`[data-key="${key}"]`));
  question ??= takes.find((one) => !answered(one)) ?? takes[0];
  const option = question?.querySelector(`[data-key="${key}"]`);
  if (!option) return;
  option.click();
  option.focus({ preventScroll: true });
  question.scrollIntoView({ block: "nearest" });
}

function takeOut() {
  const question = questionInHand();
  if (question?.matches(".q:not([data-kind=ranking])")) {
    for (const option of options(question)) option.checked = option.value === "";
    changed();
  } else if (cards().length && boards().length) place(letters()[current], 0, question?.dataset.q ?? board);
}

function nextQuestion() {
  const all = [...form().querySelectorAll(".places, .q")].filter(seen).filter((one) => !one.closest(".tools"));
  const at = all.indexOf(questionInHand());
  const open = [...all.slice(at + 1), ...all.slice(0, at + 1)].find((one) => !answered(one));
  const field = open?.querySelector("input:not([type=hidden]), textarea, button, select");
  field?.focus({ preventScroll: true });
  open?.scrollIntoView({ block: "nearest" });
}

// --- Undo

function remember() {
  const now = JSON.stringify(keep.fields());
  if (now === snapshot) return;
  snapshots.push(snapshot);
  snapshot = now;
}

function undo() {
  remember(); // what was typed last
  const before = snapshots.pop();
  if (before === undefined) return;
  snapshot = before;
  keep.fill(JSON.parse(before));
  say(words("undone"));
  changed();
}

// --- What opens

function toggle(id) {
  const it = $(id);
  if (!it || it.hidden) return;
  it.open = !it.open;
  if (!it.open) return focusCard();
  it.scrollIntoView({ block: "nearest" });
  (it.querySelector(":scope > :not(summary) :is(input, select, textarea)") ?? it.querySelector("summary")).focus();
}

function compare() {
  const [left, right] = $("compare").querySelectorAll("select");
  htmx.ajax("GET", `${$("compare").dataset.url}?left=${left.value}&right=${right.value}`, "#sides");
}

function openCompare() {
  if (!$("compare")) return;
  const [left, right] = $("compare").querySelectorAll("select");
  const all = letters();
  if (!$("compare").open) [left.value, right.value] = [all[current], all[(current + 1) % all.length]];
  toggle("compare");
}

let guidelineOpen = false; // it stays so from task to task

function openGuideline(it) {
  guidelineOpen = it.open;
  const inside = it.querySelector("[data-url]");
  if (!it.open || !inside?.matches(":has(> a:only-child)")) return;
  htmx.ajax("GET", inside.dataset.url, { target: inside, select: ".two > .stack:first-child > *", swap: "innerHTML" });
}

const covered = () => form().querySelector(".judged").inert;

/** What may distress stays covered until it is asked for; then it is shown, for this task only. */
function cover() {
  const it = $("harm");
  if (!it) return;
  const key = `plumbline:shown:${$("desk").dataset.slot}`;
  it.open ||= sessionStorage.getItem(key) === "1";
  if (it.open) sessionStorage.setItem(key, "1");
  form().querySelector(".judged").inert = !it.open;
}

function fold() {
  for (const card of cards()) {
    const [text, more] = [card.querySelector(".text"), card.querySelector(".more")];
    text.classList.add("folds");
    more.hidden = text.scrollHeight <= text.clientHeight + 4;
    text.classList.toggle("folds", !more.hidden);
  }
}

function unfold(card, open) {
  const more = card.querySelector(".more");
  card.querySelector(".text").classList.toggle("folds", !open);
  more.setAttribute("aria-expanded", open);
  more.textContent = words(open ? "less" : "more");
  if (!open) card.scrollIntoView({ block: "nearest" });
}

document.addEventListener("toggle", ({ target: it }) => {
  if (it.id === "harm") {
    cover();
    focusCard();
  }
  if (it.id === "compare" && it.open) compare();
  if (it.id === "guideline") openGuideline(it);
}, true);

document.addEventListener("click", ({ target: at }) => {
  if (at.closest(".more")) unfold(at.closest(".output"), at.getAttribute("aria-expanded") === "false");
  if (at.closest("[data-undo]")) undo();
  if (at.closest("[data-keys]")) showKeys();
});

// --- Keys

function showKeys() {
  $("keys").showModal();
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  t: tieWithAbove,
  u: takeOut,
  l: (event) => moveLine(event.shiftKey ? -1 : 1),
  g: () => toggle("guideline"),
  s: () => toggle("skip"),
  f: () => toggle("flag"),
  c: openCompare,
  v: () => covered() && toggle("harm"),
  m: () => [...(questionInHand() ?? cards()[current]).querySelectorAll("[data-mark]")].find(seen)?.click(),
  q: nextQuestion,
  z: undo,
  n: () => choose("n"),
  "?": showKeys,
  enter: ({ target: at }) => (at.form ?? form()).requestSubmit(),
};

function typing(target) {
  return target.matches("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
}

function leaveField(target) {
  const opened = target.closest("details[open]:is(#skip, #flag, #ask, #compare, #guideline)");
  if (opened) opened.open = false;
  if (opened || typing(target) || questionInHand()) focusCard();
}

document.addEventListener("keydown", (event) => {
  const { target: at, key } = event;
  if (!form() || event.isComposing || $("keys").open || at.closest(".bar")) return;
  if (key === "Escape" && !drag) return leaveField(at);
  if (key === "Enter" && (event.ctrlKey || event.metaKey)) return (at.form ?? form()).requestSubmit();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(at)) return;
  const arrow = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (arrow && (event.shiftKey || at.dataset.chip) && boards().length && !at.matches(".raw")) {
    event.preventDefault();
    return move(at.dataset.chip ?? letters()[current], arrow, at.closest(".board, .places")?.dataset.q ?? board);
  }
  if (localStorage.getItem("plumbline:keys") === "off" && key !== "Enter") return;
  if (covered() && !/^[vsf?]$/.test(key)) return;
  // Enter on a link, a button or a summary is theirs; a letter on the board has no use for it.
  if (key === "Enter" && at.closest("a, button:not([data-chip]), summary, .raw")) return;
  const name = key.toLowerCase();
  const deed = /^[0-9]$/.test(key) ? () => choose(key) : keys[name];
  if (!deed || (event.shiftKey && !/[0-9?L]/.test(key))) return;
  event.preventDefault();
  if (!event.repeat || "jk".includes(name)) deed(event);
});

document.addEventListener("focusin", ({ target: at }) => {
  const card = at.closest(".output");
  if (card) hold(cards().indexOf(card));
  if (card?.querySelector(".text.folds")?.contains(at)) unfold(card, true);
  const ranking = at.closest(".places")?.dataset.q ?? at.closest(".board")?.dataset.board;
  if (ranking) board = ranking;
});

document.addEventListener("change", ({ target: at }) => {
  if (at.id === "keys-on") localStorage.setItem("plumbline:keys", at.checked ? "on" : "off");
  if (at.closest("#compare")) return compare();
  if (at !== form() && at.form?.id !== "answer" && at.form?.id !== "skip-form") return;
  remember();
  redraw();
});
document.addEventListener("filled", redraw);

// --- Beginning

let begun = null;

function begin() {
  if (!form() || begun === form()) return;
  begun = form();
  current = 0;
  board = boards()[0]?.dataset.board ?? "";
  snapshots = [];
  snapshot = JSON.stringify(keep.fields());
  for (const hidden of form().querySelectorAll("#compare, .begin, [data-keys]")) hidden.hidden = false;
  form().querySelectorAll(".q").forEach(giveKeys);
  redraw();
  cover();
  fold();
  if (guidelineOpen) $("guideline").open = true;
  const stay = form().querySelector(".stay");
  const last = [...stay.querySelectorAll(".say")].at(-1);
  stay.scrollTop = last ? last.offsetTop - 48 : 0;
  const problem = form().querySelector(".problem");
  if (!problem) return focusCard();
  hold(Math.max(0, cards().indexOf(problem.closest(".output"))));
  const field = problem.closest(".q, .output").querySelector("input:not([type=hidden]), textarea, select, button");
  field?.focus({ preventScroll: true });
  problem.scrollIntoView({ block: "center" });
}

document.addEventListener("htmx:afterRequest", ({ detail: { successful, elt } }) => {
  if (successful && ["ask-form", "flag-form"].includes(elt.id)) elt.reset();
});
$("keys-on").checked = localStorage.getItem("plumbline:keys") !== "off";
document.addEventListener("htmx:afterSettle", begin);
begin();
