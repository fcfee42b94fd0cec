// Keys of the ranking page, the line that says the order, and the time spent looking. The form works without this file.

const desk = () => document.getElementById("desk");
const cards = () => [...desk().querySelectorAll(".output")];
let current = 0;
// Where the guideline is not beside the outputs it would stand in their way: G opens it.
let guidelineOpen = matchMedia("(min-width: 1101px)").matches;
let active = 0; // seconds the page was in view since this task came

function chosen(card) {
  const radio = card.querySelector("input[type=radio]:checked");
  return radio ? Number(radio.value) : null;
}

function place(card, tier) {
  const radio = card.querySelector(`input[type=radio][value="${tier}"]`);
  if (radio) {
    radio.checked = true;
    sayOrder();
  }
}

function focusCard(number) {
  const all = cards();
  current = Math.max(0, Math.min(all.length - 1, number));
  all.forEach((card, at) => card.toggleAttribute("data-current", at === current));
  all[current].focus({ preventScroll: true });
}

function step(by) {
  focusCard(current + by);
  cards()[current].scrollIntoView({ block: "nearest" });
}

function sayOrder() {
  const tiers = new Map();
  for (const card of cards()) {
    const tier = chosen(card);
    if (tier !== null) tiers.set(tier, [...(tiers.get(tier) ?? []), card.dataset.letter]);
  }
  const line = document.getElementById("order");
  const order = [...tiers].sort(([a], [b]) => a - b).map(([, letters]) => letters.join(" = "));
  line.textContent = order.length ? `${line.dataset.best} ${order.join(" > ")}` : line.dataset.none;
}

function tieWithAbove() {
  const all = cards();
  const above = all.slice(0, current).reverse().find((card) => chosen(card) !== null);
  if (above) place(all[current], chosen(above));
}

function toggle(id) {
  const details = document.getElementById(id);
  if (!details) return;
  details.open = !details.open;
  if (details.open) (details.querySelector("input") ?? details.querySelector("summary")).focus();
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  t: tieWithAbove,
  u: () => {
    const radio = cards()[current].querySelector("input[type=radio]:checked");
    if (radio) radio.checked = false;
    sayOrder();
  },
  g: () => toggle("guideline"),
  s: () => toggle("skip"),
  "?": () => toggle("keys"),
  enter: () => document.getElementById("ranking").requestSubmit(),
};

function typing(target) {
  return target.matches("input:not([type=radio]), textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.closest("#skip")) {
    toggle("skip");
    focusCard(current);
  }
  if (!desk() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  // Enter on a link, a button or a summary is theirs.
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  if (/^[1-9]$/.test(event.key)) {
    place(cards()[current], event.key);
    event.preventDefault();
  } else if (keys[event.key.toLowerCase()]) {
    event.preventDefault();
    if (!event.repeat || "jk".includes(event.key)) keys[event.key.toLowerCase()]();
  }
});

document.addEventListener("toggle", (event) => {
  if (event.target.id === "guideline") guidelineOpen = event.target.open;
}, true);

document.addEventListener("change", (event) => {
  if (event.target.matches(".places input")) sayOrder();
});

document.addEventListener("focusin", (event) => {
  const at = cards().indexOf(event.target.closest(".output"));
  if (at >= 0 && at !== current) {
    cards()[current]?.removeAttribute("data-current");
    current = at;
    cards()[current].setAttribute("data-current", "");
  }
});

function begin() {
  const field = desk().querySelector("[name=active_seconds]");
  field.value = active = Number(field.value); // not 0 when the same task comes back
  document.getElementById("guideline").open = guidelineOpen;
  focusCard(0);
  sayOrder();
}

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "desk" || event.target.querySelector?.("#desk")) begin();
});

// A ranking that did not arrive stays on the page, and says so.
function sayUnsent(unsent) {
  const line = document.getElementById("unsent");
  if (line) line.hidden = !unsent;
}

document.addEventListener("htmx:configRequest", (event) => {
  sayUnsent(false);
  // The token of the page is stale after signing in again in another tab; the cookie's is not.
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (token) {
    event.detail.headers["X-CSRFToken"] = token[1];
    delete event.detail.parameters.csrfmiddlewaretoken;
  }
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  if (new URL(xhr.responseURL).pathname === pathInfo.requestPath) return;
  event.detail.shouldSwap = false; // led to the sign-in page
  sayUnsent(true);
});

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => sayUnsent(true));
}

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  active += 1;
  desk().querySelector("[name=active_seconds]").value = active;
}, 1000);

begin();
