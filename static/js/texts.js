// Texts: marking words of outputs, as they were written; beginning with one of them; how what is written comes about.
// Offsets count code points of the raw text, so texts are arrays of these here.

const $ = (id) => document.getElementById(id);
const form = () => $("answer");
const words = (name, values = {}) => $("text-words").dataset[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const say = (text) => ($("live").textContent = text);
const changed = () => form().dispatchEvent(new Event("change", { bubbles: true }));
const texts = new Map(); // by address

let marking = null; // {card, button, input, label, words, at, from} while words are being marked

async function raw(letter) {
  const from = address(letter);
  if (!texts.has(from)) {
    const answer = await fetch(from);
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    texts.set(from, [...page.querySelector("pre").textContent]);
  }
  return texts.get(from);
}

/** The element that shows the text of a card as it was written, beside the one with the text as it is read. */
function rawOf(card) {
  const found = card.querySelector(".raw");
  if (found) return found;
  const made = Object.assign(document.createElement("pre"), { className: "wrap raw", tabIndex: 0, dir: "auto" });
  made.setAttribute("role", "textbox");
  made.setAttribute("aria-readonly", "true");
  made.setAttribute("aria-multiline", "true");
  made.setAttribute("aria-label", words("raw", { letter: card.dataset.letter }));
  card.querySelector(".text").after(made);
  return made;
}

const address = (letter) => form().dataset.raw.replace("/-/", `/${letter}/`);
const textOf = (card) => texts.get(address(card.dataset.letter));
const marksIn = (input) => (input.value ? JSON.parse(input.value) : []);
const inputsOf = (card) => [...card.querySelectorAll("[data-spans]")].filter((input) => !input.parentElement.hidden);

/** The words of a text as [start, end]; of Chinese too, which has no spaces. */
function wordsOf(text, language) {
  const found = [];
  let at = 0;
  for (const { segment, isWordLike } of new Intl.Segmenter(language, { granularity: "word" }).segment(text.join(""))) {
    const length = [...segment].length;
    if (isWordLike) found.push([at, at + length]);
    at += length;
  }
  return found.length ? found : [[0, text.length]];
}

// --- Showing

function show(card, isRaw) {
  rawOf(card).hidden = !isRaw;
  card.querySelector(".text").hidden = isRaw;
  card.classList.toggle("marked", isRaw);
}

function draw(card) {
  const text = textOf(card);
  const all = inputsOf(card).flatMap(marksIn).map(([start, end, label]) => ({ start, end, label: label ?? "" }));
  const mine = marking?.card === card ? marking : null;
  const word = mine?.words[mine.at];
  if (mine && mine.from !== null) {
    all.push({ start: Math.min(mine.from[0], word[0]), end: Math.max(mine.from[1], word[1]), pending: true });
  }
  if (mine) all.push({ start: word[0], end: word[1], caret: true });
  const cuts = [...new Set([0, text.length, ...all.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  const pieces = cuts.slice(1).map((end, at) => {
    const over = all.filter((mark) => mark.start < end && mark.end > cuts[at]);
    const piece = text.slice(cuts[at], end).join("");
    if (!over.length) return piece;
    const element = document.createElement(over.some((mark) => !mark.caret) ? "mark" : "span");
    element.textContent = piece;
    element.title = over.map((mark) => mark.label).filter(Boolean).join(", ");
    element.classList.toggle("caret", over.some((mark) => mark.caret));
    element.classList.toggle("pending", over.some((mark) => mark.pending));
    return element;
  });
  rawOf(card).replaceChildren(...pieces);
  rawOf(card).querySelector(".caret")?.scrollIntoView({ block: "nearest" });
}

function listMarks(input) {
  const text = textOf(input.closest(".output"));
  const rows = marksIn(input).map(([start, end, label], at) => {
    const row = document.createElement("li");
    const said = excerpt(text.slice(start, end).join(""));
    const name = label && (input.parentElement.querySelector(`[data-mark="${label}"]`)?.firstChild.textContent.trim() ?? label);
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
    button.dataset.unmark = at;
    button.setAttribute("aria-label", words("unmark", { text: said }));
    row.append(name ? `${name}: ` : "", Object.assign(document.createElement("q"), { textContent: said }), button);
    return row;
  });
  const list = input.parentElement.querySelector("ul") ?? input.parentElement.appendChild(document.createElement("ul"));
  list.replaceChildren(...rows);
}

const excerpt = (text) => (text.length > 40 ? `${text.slice(0, 38)}…` : text);

async function refresh(card) {
  const inputs = inputsOf(card);
  const any = inputs.some((input) => input.value);
  if (any) await raw(card.dataset.letter);
  show(card, any || marking?.card === card);
  if (!textOf(card)) return;
  draw(card);
  inputs.forEach(listMarks);
}

function refreshAll() {
  for (const card of form().querySelectorAll(".output:has([data-spans])")) refresh(card).catch(() => {});
}

// --- Marking

async function begin(button) {
  const card = button.closest(".output");
  try {
    await raw(card.dataset.letter);
  } catch {
    return say(words("noText"));
  }
  stop();
  const language = card.querySelector(".text").lang || document.documentElement.lang;
  const input = button.parentElement.querySelector("[data-spans]");
  const { mark: label } = button.dataset;
  marking = { card, button, input, label, words: wordsOf(textOf(card), language), at: 0, from: null };
  await refresh(card);
  rawOf(card).focus();
  button.setAttribute("aria-pressed", "true");
  say(words("marking"));
}

function stop() {
  if (!marking) return;
  const { card, button } = marking;
  marking = null;
  button.setAttribute("aria-pressed", "false");
  refresh(card);
}

function end() {
  const { card } = marking;
  stop();
  card.focus({ preventScroll: true });
}

/** Mark with the next label, or for the next question of the card; after the last one nothing more. */
function next() {
  const all = [...marking.card.querySelectorAll("[data-mark]")].filter((button) => button.checkVisibility());
  const button = all[all.indexOf(marking.button) + 1];
  if (button) begin(button);
  else end();
}

function add(start, end) {
  const { card, input, label } = marking;
  const text = textOf(card);
  while (start < end && /\s/u.test(text[start])) start++;
  while (end > start && /\s/u.test(text[end - 1])) end--;
  marking.from = null;
  if (start === end) return draw(card);
  const marks = marksIn(input).filter(([s, e, l]) => s !== start || e !== end || (l ?? "") !== label);
  write(input, [...marks, label ? [start, end, label] : [start, end]].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
  say(words("marked", { text: excerpt(text.slice(start, end).join("")) }));
}

function write(input, marks) {
  input.value = marks.length ? JSON.stringify(marks) : "";
  const none = input.closest(".q").querySelector(".none input");
  if (none && marks.length) none.checked = false;
  changed();
  refresh(input.closest(".output"));
}

/** The beginning of what is marked, or its end, is the word in hand. */
function beginOrEnd() {
  const word = marking.words[marking.at];
  if (marking.from) return add(Math.min(marking.from[0], word[0]), Math.max(marking.from[1], word[1]));
  marking.from = word;
  draw(marking.card);
  say(words("begun", { text: textOf(marking.card).slice(...word).join("") }));
}

function moveTo(at) {
  marking.at = Math.max(0, Math.min(marking.words.length - 1, at));
  draw(marking.card);
  say(textOf(marking.card).slice(...marking.words[marking.at]).join(""));
}

function removeHere() {
  const [start, end] = marking.words[marking.at];
  write(marking.input, marksIn(marking.input).filter((mark) => mark[1] <= start || mark[0] >= end));
}

const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  if (!marking || !event.target.matches(".raw") || event.ctrlKey || event.metaKey || event.altKey) return;
  const { key } = event;
  if (STEPS[key]) moveTo(marking.at + STEPS[key]);
  else if (key === " " || key === "Enter") beginOrEnd();
  else if (key === "m") next();
  else if (key === "Delete" || key === "Backspace") removeHere();
  else if (key !== "Escape") return;
  else if (marking.from) moveTo(marking.at, (marking.from = null));
  else end();
  event.preventDefault();
  event.stopPropagation();
}, true);

/** How many code points of the text lie before a place in the page. */
function offset(pre, node, at) {
  const range = document.createRange();
  range.setStart(pre, 0);
  range.setEnd(node, at);
  return [...range.toString()].length;
}

document.addEventListener("pointerup", ({ target, clientX, clientY }) => {
  const pre = target.closest?.(".raw");
  if (!marking || pre !== rawOf(marking.card)) return;
  setTimeout(() => {
    const picked = getSelection();
    if (!marking) return;
    if (!picked.isCollapsed && pre.contains(picked.anchorNode) && pre.contains(picked.focusNode)) {
      const { startContainer, startOffset, endContainer, endOffset } = picked.getRangeAt(0);
      const [start, end] = [offset(pre, startContainer, startOffset), offset(pre, endContainer, endOffset)];
      picked.removeAllRanges();
      return add(start, end);
    }
    // A touch or a click: the word there, as Space does.
    const spot = document.caretPositionFromPoint?.(clientX, clientY);
    const range = spot ? null : document.caretRangeFromPoint?.(clientX, clientY);
    const [node, at] = spot ? [spot.offsetNode, spot.offset] : [range?.startContainer, range?.startOffset];
    if (!node || !pre.contains(node)) return;
    const here = offset(pre, node, at);
    const word = marking.words.findIndex(([, end]) => here < end);
    marking.at = word < 0 ? marking.words.length - 1 : word;
    beginOrEnd();
  });
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-mark]");
  if (button && marking?.button === button) end();
  else if (button) begin(button);
  const unmark = target.closest("[data-unmark]");
  if (unmark) {
    const input = unmark.closest(".marks").querySelector("[data-spans]");
    write(input, marksIn(input).filter((_, at) => at !== Number(unmark.dataset.unmark)));
    input.parentElement.querySelector("[data-mark]").focus({ preventScroll: true });
  }
  if (target.closest("[data-from]")) startFrom(target.closest("[data-from]"));
});

document.addEventListener("change", ({ target }) => {
  if (target.matches(".none input:checked")) {
    const input = target.closest(".q").querySelector("[data-spans]");
    if (input.value) write(input, []);
  } else if (target.matches('[data-kind="rule"] [type=radio]')) refresh(target.closest(".output")).catch(() => {});
});

// --- Starting from an output

async function startFrom(button) {
  const letter = button.dataset.from;
  const question = button.closest(".q");
  let text;
  try {
    text = await raw(letter);
  } catch {
    return say(words("noText"));
  }
  const written = question.querySelector("textarea");
  written.value = text.join("");
  question.querySelector("input[type=hidden]").value = letter;
  question.querySelector("[data-undo]").hidden = false;
  changed();
  written.focus();
  say(words("copied", { letter }));
}

// --- Writing

const typingOf = () => `plumbline:typing:${$("desk").dataset.slot}`;
let lastSecond = 0;

/** Seconds with typing in them, and characters typed and pasted, of this task. */
function noteTyping(event) {
  if (!event.target.matches("#answer .q textarea:not([form])")) return;
  const typing = keep.stored(typingOf(), sessionStorage) ?? { seconds: 0, typed: 0, pasted: 0 };
  const second = Math.floor(Date.now() / 1000);
  if (second !== lastSecond) typing.seconds += 1;
  lastSecond = second;
  const length = [...(event.data ?? event.dataTransfer?.getData("text/plain") ?? "")].length;
  if (/^insertFrom/.test(event.inputType)) typing.pasted += length;
  else if (event.inputType === "insertLineBreak") typing.typed += 1;
  else if (event.inputType !== "insertCompositionText") typing.typed += length; // that comes again at its end
  keep.store(typingOf(), typing, sessionStorage);
  form().elements.typing.value = JSON.stringify(typing);
}

document.addEventListener("beforeinput", noteTyping);
document.addEventListener("compositionend", noteTyping);

function sayCounts() {
  for (const count of form().querySelectorAll(".count")) {
    const { least, most } = count.dataset;
    const written = [...count.closest(".q").querySelector("textarea").value].length;
    count.textContent = words("count", { count: written, least, most });
  }
}

for (const name of ["input", "change", "filled"]) document.addEventListener(name, () => form() && sayCounts());

function prepare() {
  if (!form() || form().dataset.marks !== undefined) return;
  form().dataset.marks = "";
  marking = null;
  texts.clear();
  for (const marks of form().querySelectorAll('[data-kind="span"] .marks')) marks.hidden = false;
  const typing = keep.stored(typingOf(), sessionStorage);
  if (typing) form().elements.typing.value = JSON.stringify(typing);
  sayCounts();
  refreshAll();
}

document.addEventListener("htmx:afterSettle", prepare);
document.addEventListener("filled", refreshAll);
prepare();
