// What is filled in is kept in this browser at once and on the server a second later; an answer that could not be sent
// waits here until it can. Also counts the time. The form works without this file.

const OF_THE_FORM = ["csrfmiddlewaretoken", "key", "guideline", "active_seconds", "typing"];
const OVER = ["expired", "skipped", "released"];
const OUTBOX = "plumbline:outbox";
const $ = (id) => document.getElementById(id);
const form = () => $("answer");
const path = (address) => new URL(address, location.href).pathname;
const said = (name, values = {}) => $("words").dataset[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const others = new BroadcastChannel("plumbline");

let state = null; // of the task shown
let lastInput = Date.now();
const held = new Set(); // tasks whose answer waits for somebody to sign in

// --- Fields, and where they are kept

function fields() {
  return [...new FormData(form())].filter(([name]) => !OF_THE_FORM.includes(name));
}

function text(entries) {
  return JSON.stringify(entries.filter(([, value]) => value !== "").sort());
}

function fill(entries) {
  for (const field of form().elements) {
    if (!field.name || OF_THE_FORM.includes(field.name)) continue;
    const values = entries.filter(([name, value]) => name === field.name && value !== "").map(([, value]) => value);
    if (!["radio", "checkbox"].includes(field.type)) field.value = values[0] ?? "";
    else field.checked = values.length ? values.includes(field.value) : field.value === "";
  }
  form().dispatchEvent(new Event("filled", { bubbles: true }));
}

function stored(name, store = localStorage) {
  try {
    return JSON.parse(store.getItem(name));
  } catch {
    return null;
  }
}

function store(name, value, where = localStorage) {
  try {
    if (value === null) where.removeItem(name);
    else where.setItem(name, JSON.stringify(value));
  } catch {
    // Full, or forbidden: the server has the draft all the same.
  }
}

const copyOf = (code) => `plumbline:${code}`;
const timeOf = (code) => `plumbline:time:${code}`;

function keepHere() {
  const { code, version, answered, sent } = state;
  store(copyOf(code), { fields: fields(), version, answered, sent });
}

// --- The draft

const cookie = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

/** The answer to a POST; its status is 401 where it led to the sign-in page, 0 where there is no connection. */
async function post(address, body, options = {}) {
  try {
    const headers = { "X-CSRFToken": cookie(), ...options.headers };
    const answer = await fetch(address, { method: "POST", body, ...options, headers });
    const signedOut = path(answer.url) !== path(address) || answer.status === 403;
    return { status: signedOut ? 401 : answer.status, answer };
  } catch {
    return { status: 0 };
  }
}

function noteChange() {
  if (!state) return;
  const now = text(fields());
  if (now === state.now) return;
  state.now = now;
  takeBack();
  keepHere();
  saveSoon();
}

function saveSoon() {
  clearTimeout(state.timer);
  state.timer = setTimeout(save, 1000);
}

/** Save the draft, or, where nothing has changed, only renew the lease. */
async function save({ leaving = false } = {}) {
  const its = state;
  if (!its || (its.saving && !leaving)) return;
  clearTimeout(its.timer);
  const changed = !its.theirs && its.now !== its.saved;
  const entries = changed ? [...fields(), ["changed", "1"]] : [];
  its.posted = Date.now();
  const { signal } = (its.saving = new AbortController());
  const sending = its.now;
  if (changed) {
    its.ours.push((its.sent = sending));
    keepHere();
  }
  const body = new URLSearchParams([...entries, ["version", its.version], ["answered", its.answered ? "1" : ""]]);
  const { status, answer } = await post(form().dataset.draft, body, { keepalive: leaving, signal });
  const reply = status === 200 ? await answer.json() : null;
  its.saving = null;
  if (its !== state || signal.aborted) return; // it was submitted
  if (!reply) {
    if (changed && status === 0) $("kept").textContent = said("here");
    return sayUnsent(status);
  }
  if (!stored(OUTBOX)?.[its.code]) $("unsent").hidden = true;
  $("over").hidden = !OVER.includes(reply.status);
  if (["submitted", "extra"].includes(reply.status) && !its.answered) {
    $("elsewhere").hidden = false;
    its.answered = true;
    return saveSoon();
  }
  const theirs = reply.newer && Object.entries(reply.newer).flatMap(([name, all]) => all.map((value) => [name, value]));
  if (changed) {
    its.version = reply.version;
    if (theirs && !its.ours.includes(text(theirs))) return choose(theirs);
    its.saved = theirs ? text(theirs) : sending;
    its.keptAt = Date.now();
  }
  sayKept();
  if (its.theirs) return;
  if (its.saved !== its.now) {
    keepHere();
    saveSoon();
  } else if (text(stored(copyOf(its.code))?.fields ?? []) === its.now) store(copyOf(its.code), null);
}

function choose(theirs) {
  state.theirs = theirs;
  $("newer").hidden = false;
}

document.addEventListener("click", (event) => {
  const taken = event.target.closest("[data-take]")?.dataset.take;
  if (!taken) return;
  const { theirs } = state;
  state.theirs = null;
  $("newer").hidden = true;
  if (taken === "theirs") {
    fill(theirs);
    state.now = state.saved = text(fields());
    store(copyOf(state.code), null);
  } else {
    state.saved = text(theirs);
    save();
  }
});

function sayKept() {
  if (!state.keptAt) return;
  const seconds = Math.max(1, Math.round((Date.now() - state.keptAt) / 1000));
  const ago = new Intl.RelativeTimeFormat(document.documentElement.lang);
  const when = seconds < 60 ? ago.format(-seconds, "second") : ago.format(-Math.round(seconds / 60), "minute");
  $("kept").textContent = said("kept", { ago: when });
}

// --- Answers that could not be sent

function sayUnsent(status, waiting = false) {
  const line = $("unsent");
  if (status === 401) {
    const link = Object.assign(document.createElement("a"), { href: said("login"), target: "_blank" });
    link.textContent = said("signIn");
    line.replaceChildren(said("signedOut"), " ", link);
  } else if (status === 404) line.textContent = said("notYours");
  else if (waiting) line.textContent = said("outbox");
  else if (status < 0) line.textContent = said("failed");
  else if (status && status < 500) line.textContent = said("refused");
  else return; // the draft could not be saved: #kept says so
  line.hidden = false;
}

function putOut() {
  const body = new FormData(form());
  body.delete("csrfmiddlewaretoken");
  const entry = { url: form().getAttribute("action"), body: new URLSearchParams(body).toString() };
  store(OUTBOX, { ...stored(OUTBOX), [state.code]: entry });
}

function drop(code) {
  const { [code]: gone, ...rest } = stored(OUTBOX) ?? {};
  store(OUTBOX, Object.keys(rest).length ? rest : null);
  return gone;
}

/** What waited to be sent has been changed since: it goes when it is submitted again, under a key of its own. */
function takeBack() {
  if (!drop(state.code)) return;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  form().elements.key.value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  $("unsent").hidden = true;
}

function arrived(code) {
  drop(code);
  store(copyOf(code), null);
  store(timeOf(code), null, sessionStorage);
  others.postMessage(code);
}

async function retry() {
  for (const [code, entry] of Object.entries(stored(OUTBOX) ?? {})) {
    if (held.has(code)) continue;
    if (state?.code === code) {
      form().requestSubmit();
      continue;
    }
    const body = new URLSearchParams(entry.body);
    const { status } = await post(entry.url, body, { headers: { "HX-Request": "true" } });
    if (status === 200) arrived(code);
    else if (status === 401 || status === 404) held.add(code);
    else if (status && status < 500) drop(code); // its copy stays, and comes back where the task is opened
  }
}

document.addEventListener("htmx:configRequest", ({ detail }) => {
  // The token of the page is stale after signing in again in another tab; the cookie's is not.
  detail.headers["X-CSRFToken"] = cookie();
  delete detail.parameters.csrfmiddlewaretoken;
  if (detail.elt !== form()) return;
  clearTimeout(state.timer);
  state.saving?.abort();
});

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, pathInfo, elt } = event.detail;
  if (path(xhr.responseURL) !== path(pathInfo.requestPath)) {
    event.preventDefault();
    if (path(xhr.responseURL) !== path(said("login"))) location.assign(xhr.responseURL);
    else unsent(elt, 401);
  } else if (elt === form() && xhr.status === 200) arrived(state.code);
});

function unsent(elt, status) {
  if (elt !== form()) return sayUnsent(status === 401 ? 401 : -1);
  if (status && status < 500 && ![401, 404, 429].includes(status)) drop(state.code);
  else putOut();
  if ([401, 404].includes(status)) held.add(state.code);
  sayUnsent(status, status === 0 || status === 429 || status >= 500);
}

document.addEventListener("htmx:responseError", ({ detail }) => {
  unsent(detail.elt, detail.xhr.status === 403 ? 401 : detail.xhr.status);
});
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => unsent(detail.elt, 0));
}

others.onmessage = ({ data }) => {
  if (state?.code !== data || state.answered) return;
  $("elsewhere").hidden = false;
};

// --- Time

for (const name of ["keydown", "pointerdown", "pointermove", "scroll", "wheel", "input"]) {
  document.addEventListener(name, () => (lastInput = Date.now()), { capture: true, passive: true });
}

function tick() {
  const now = Date.now();
  if (state && document.visibilityState === "visible" && now - lastInput < 60_000) {
    state.active += 1;
    form().elements.active_seconds.value = state.active;
    store(timeOf(state.code), state.active, sessionStorage);
    const all = Number($("active").dataset.seconds) + state.active;
    $("active").textContent = `${Math.floor(all / 60)}:${String(all % 60).padStart(2, "0")}`;
    if (!state.answered && now - state.posted > Math.min(60, form().dataset.lease * 15) * 1000) save();
  }
  if (Math.floor(now / 1000) % 10) return;
  if (state && state.now !== state.saved && now - state.posted > 5000) save();
  if (state) sayKept();
  retry();
}

// --- Beginning

function begin() {
  if (!form()) return retry();
  if (state?.form === form()) return;
  const code = $("desk").dataset.slot;
  const { version, answered } = form().dataset;
  state = { form: form(), code, version: Number(version), answered: answered !== undefined, ours: [] };
  state.active = form().elements.active_seconds.value = stored(timeOf(code), sessionStorage) ?? 0;
  state.posted = Date.now();
  state.now = state.saved = text(fields());
  if ($("desk").querySelector(".problem, .error")) state.saved = null; // it came back, and is no draft yet
  bringBack();
  if (state.now !== state.saved) saveSoon();
}

/** What this browser has and the server has not: an answer that waits, or what was filled in without a connection. */
function bringBack() {
  const waiting = stored(OUTBOX)?.[state.code];
  const kept = waiting ? { fields: [...new URLSearchParams(waiting.body)] } : stored(copyOf(state.code));
  if (!kept) return;
  if (text(kept.fields.filter(([name]) => !OF_THE_FORM.includes(name))) !== state.now) {
    const theirs = fields();
    fill(kept.fields);
    state.now = text(fields());
    const mine = kept.version === state.version || kept.sent === text(theirs);
    if (waiting || (mine && kept.answered === state.answered)) $("kept").textContent = said("back");
    else choose(theirs);
  } else if (!waiting && state.saved !== null) store(copyOf(state.code), null);
  if (!waiting) return;
  form().elements.key.value = new URLSearchParams(waiting.body).get("key");
  sayUnsent(0, true);
  retry();
}

globalThis.keep = { fields, fill, store, stored };
for (const name of ["input", "change"]) document.addEventListener(name, noteChange);
document.addEventListener("htmx:afterSettle", begin);
document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? leave() : comeBack()));
addEventListener("pagehide", leave);
addEventListener("focus", comeBack);
addEventListener("online", comeBack);
addEventListener("pageshow", (event) => event.persisted && location.reload());

function leave() {
  if (state && state.now !== state.saved) save({ leaving: true });
}

function comeBack() {
  held.clear();
  if (state && state.now !== state.saved) save();
  retry();
}

setInterval(tick, 1000);
begin();

// A task that was skipped is not answered later by what waited.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const skipped = detail.successful && detail.pathInfo.requestPath.match(/work\/([^/]+)\/skip\//);
  if (skipped) drop(skipped[1]);
});
