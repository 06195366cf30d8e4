// The inspector: a list of what came through the tunnel, kept up to date by server-sent events, and one request in full.
// Everything from outside is set as text.
import { base64Of, bytesOf, curlOf, textOf } from "./pretty.js";
import { bodyView, pairs } from "./body.js";
import { el, size, took } from "./dom.js";

const $ = (id) => document.getElementById(id);
const all = new Map(); // by id, oldest first
let state = { target: "", public_url: "", kind: "" };
let run = "";
let found = null; // ids that hold the text that is searched for
let chosen = null;
let shown = null; // the exchange in full, as it is on the page

// ---- The list

const tests = {
  live: (e) => !e.kept && !e.replay_of,
  kept: (e) => e.kept,
  replay: (e) => e.replay_of !== "",
  upgrade: (e) => e.upgrade,
};

function matches(e) {
  const [method, status, kind] = ["method", "status", "kind"].map((id) => $(id).value);
  if (method && e.method !== method) return false;
  if (status === "failed" ? !e.error : status === "open" ? finished(e) : status && String(e.status)[0] !== status) return false;
  if (kind && !tests[kind](e)) return false;
  return found === null || found.has(e.id);
}

const finished = (e) => e.state === "done" || e.state === "failed";
const visible = () => [...all.values()].filter(matches).reverse();

function statusOf(e) {
  if (e.status) return [String(e.status), `s${String(e.status)[0]}`];
  return finished(e) ? ["–", "s0"] : ["…", "s0"];
}

function marks(e) {
  const list = [];
  if (e.kept) list.push("kept");
  if (e.replay_of) list.push("replay");
  if (e.upgrade) list.push(finished(e) ? "upgraded" : "open");
  if (e.error) list.push(e.error);
  return list.map((m) => el("span", { class: "badge" }, m));
}

function row(e) {
  const [status, colour] = statusOf(e);
  return el("li", { id: `x-${e.id}`, role: "option", "aria-selected": String(e.id === chosen), "data-id": e.id },
    el("span", { class: "method" }, e.method),
    el("span", { class: "path", title: e.path }, e.path),
    el("span", { class: `status ${colour}` }, status),
    el("span", { class: "more" }, el("time", { datetime: e.at }, new Date(e.at).toLocaleTimeString()), el("span", {}, e.duration_ms ? took(e.duration_ms) : ""), ...marks(e)));
}

function drawList() {
  const list = visible();
  const box = $("list");
  const focused = document.activeElement === box;
  const top = box.scrollTop;
  box.replaceChildren(...list.map(row));
  box.scrollTop = top;
  if (focused) box.focus({ preventScroll: true });
  if (chosen && list.some((e) => e.id === chosen)) box.setAttribute("aria-activedescendant", `x-${chosen}`);
  else box.removeAttribute("aria-activedescendant");
  $("tally").textContent = all.size === list.length ? `${all.size} requests` : `${list.length} of ${all.size} requests`;
  $("clear").disabled = all.size === 0;
  const empty = $("empty");
  empty.hidden = list.length > 0;
  if (all.size) empty.replaceChildren("None of the requests matches.");
  else empty.replaceChildren("Nothing has come yet. ", ...(state.public_url ? ["Try: ", el("code", {}, `curl ${state.public_url} -d hello`)] : []));
  const methods = new Set([...all.values()].map((e) => e.method));
  const select = $("method");
  for (const m of methods) if (![...select.options].some((o) => o.value === m)) select.append(el("option", { value: m }, m));
}

let drawing = false;
function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawList();
  });
}

function step(by) {
  const list = visible();
  const i = list.findIndex((e) => e.id === chosen);
  const next = list[i < 0 ? 0 : Math.min(Math.max(i + by, 0), list.length - 1)];
  if (!next) return;
  choose(next.id, false);
  $(`x-${next.id}`)?.scrollIntoView({ block: "nearest" });
}

function choose(id, read = true) {
  chosen = id;
  history.replaceState(null, "", `#${id}`);
  drawList();
  showDetail(id);
  if (read) {
    $("main").classList.add("reading");
    if (matchMedia("(max-width: 52rem)").matches) $("detail").focus();
  }
}

function unread() {
  $("main").classList.remove("reading");
  $("list").focus();
}

// ---- One request in full

async function ask(path, options) {
  const res = await fetch(path, options);
  if (!res.ok) throw new Error((await res.json().catch(() => null))?.msg ?? `the answer was ${res.status}`);
  return res;
}

async function showDetail(id) {
  try {
    const e = await (await ask(`/api/exchanges/${encodeURIComponent(id)}`)).json();
    if (id !== chosen) return;
    for (const m of [e.request, e.answer]) if (m) m.bytes = bytesOf(m.body);
    shown = e;
    drawDetail(e);
  } catch (error) {
    if (id === chosen) $("detail").replaceChildren(el("p", { class: "aside-note" }, error.message));
  }
}

function drawDetail(e) {
  const [status, colour] = statusOf(e);
  const button = (text, action, attributes = {}) => {
    const b = el("button", { type: "button", ...attributes }, text);
    b.addEventListener("click", action);
    return b;
  };
  const facts = [["Came", new Date(e.at).toLocaleString() + (e.kept ? ", kept while the tunnel was away" : "")]];
  if (e.called_at && e.kept) facts[0][1] = `${new Date(e.called_at).toLocaleString()}, kept until ${new Date(e.at).toLocaleString()}`;
  if (e.remote) facts.push(["From", e.remote]);
  if (e.url) facts.push(["Called", e.url]);
  if (e.event) facts.push([e.kind === "bin" ? "Captured as" : "Event", e.event]);
  if (e.replay_of) facts.push(["Replay of", e.replay_of]);
  if (e.duration_ms) facts.push(["Took", took(e.duration_ms) + (e.first_byte_ms ? `, the first byte after ${took(e.first_byte_ms)}` : "")]);
  if (e.upgrade) facts.push(["Passed", `${size(e.request.size)} to the target, ${size(e.answer.size)} back`]);
  const list = el("dl", { class: "facts" });
  for (const [name, value] of facts) list.append(el("dt", {}, name), el("dd", {}, value));
  const query = e.path.includes("?") ? e.path.slice(e.path.indexOf("?") + 1) : "";
  $("detail").replaceChildren(
    el("div", { class: "summary" }, button("Back", unread, { id: "back" }), el("h2", {}, `${e.method} ${e.path}`), el("span", { class: `status ${colour}` }, e.status_text || status)),
    el("div", { class: "buttons" },
      button("Replay", replay, { id: "replay", class: "primary", disabled: e.upgrade }), button("Edit and replay", edit, { id: "edit", disabled: e.upgrade }),
      button("Copy as curl", copyCurl, { id: "curl" })),
    list,
    message("Request", e.request, query, `/api/requests/http/${encodeURIComponent(e.id)}/request`, e.upgrade),
    e.answer ? message("Answer", e.answer, "", `/api/requests/http/${encodeURIComponent(e.id)}/response`, e.upgrade)
      : el("p", { class: e.error ? "bad" : "aside-note" }, e.error ? reasons[e.error] ?? e.error : finished(e) ? "There was no answer." : "There is no answer yet."));
}

const reasons = {
  refused: "Nothing listens at the target: the connection was refused. The caller got 502.",
  timeout: "The target did not take the connection in time. The caller got 502.",
  "unknown-host": "The target's name has no address. The caller got 502.",
  tls: "The TLS handshake with the target failed. The caller got 502.",
  broken: "The target closed the connection before the answer was whole.",
  canceled: "The caller went away before the answer.",
};

function message(title, m, query, address, upgrade) {
  const part = el("section", { class: "part", "aria-label": title },
    el("header", {}, el("h3", {}, title), el("span", { class: "aside-note" }, upgrade ? "" : `${size(m.size)} of body${m.cut ? `, ${size(m.bytes.length)} kept` : ""}`)),
    el("div", {}, pairs(m.headers.map((h) => [h.name, h.value]))));
  if (query) part.append(el("div", {}, el("h3", {}, "Query"), bodyView.form(query)));
  if (!upgrade && m.bytes.length) part.append(bodyView(m, address));
  return part;
}

function notice(text) {
  const n = $("notice");
  n.textContent = text;
  n.hidden = !text;
  clearTimeout(notice.timer);
  if (text) notice.timer = setTimeout(() => notice(""), 6000);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not a secure context, or not allowed
    const area = el("textarea", { class: "aside" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notice(`${what} copied.`);
}

function copyCurl() {
  if (!shown) return;
  if (shown.request.cut) return notice("Only the beginning of the body was kept: there is no command for all of it.");
  copy(curlOf({ method: shown.method, path: shown.path, headers: shown.request.headers, body: shown.request.bytes }, state.origin), "The command was");
}

async function send(change) {
  const res = await ask("/api/requests/http", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id: shown.id, ...change }) });
  await res.body?.cancel();
  const id = decodeURIComponent(res.headers.get("Location").split("/").pop());
  if (all.has(id)) choose(id); // the stream was faster
  else wanted = id;
}
let wanted = null; // a replay that is shown when it has come

async function replay() {
  try {
    if (shown) await send({});
  } catch (error) {
    notice(error.message);
  }
}

// ---- Edit and replay

function edit() {
  if (!shown || shown.upgrade) return;
  $("edit-method").value = shown.method;
  $("edit-path").value = shown.path;
  $("edit-headers").value = shown.request.headers.map((h) => `${h.name}: ${h.value}`).join("\n");
  const text = shown.request.cut ? null : textOf(shown.request.bytes);
  // A text area turns every line break into one of its own, so a body that holds another is not for it.
  const plain = text !== null && !text.includes("\r");
  const body = $("edit-body");
  body.value = plain ? text : "";
  body.disabled = !plain;
  $("edit-note").textContent = plain ? "A signature that covers the body no longer fits when it is changed."
    : shown.request.cut ? "Only the beginning of the body was kept: it cannot be sent again." : "The body is not plain text: it is sent as it came.";
  $("edit-send").disabled = shown.request.cut;
  $("edit-error").textContent = "";
  $("editor").showModal();
}

function edited() {
  const headers = [];
  for (const line of $("edit-headers").value.split("\n")) {
    if (!line.trim()) continue;
    const at = line.indexOf(":");
    if (at < 1) throw new Error(`“${line}” is not a header: write Name: value`);
    headers.push({ name: line.slice(0, at).trim(), value: line.slice(at + 1).trim() });
  }
  const change = { method: $("edit-method").value.trim(), path: $("edit-path").value.trim(), headers };
  if (!$("edit-body").disabled) change.body_base64 = base64Of(new TextEncoder().encode($("edit-body").value));
  return change;
}

$("editor").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send(edited());
    $("editor").close();
  } catch (error) {
    $("edit-error").textContent = error.message;
  }
});
$("edit-cancel").addEventListener("click", () => $("editor").close());

// ---- What goes on

function showState(s) {
  state = s;
  document.title = `${s.name}: what came through the tunnel`;
  $("name").textContent = s.name;
  $("url").textContent = s.public_url || "events";
  $("copy-url").hidden = !s.public_url;
  $("target").textContent = s.target;
  const c = $("connection");
  c.className = `state ${s.connected ? "open" : "away"}`;
  c.textContent = s.connected ? "connected" : s.error ? `not connected: ${s.error}` : "connecting";
}

function take(news) {
  if (news.status.run !== run) {
    run = news.status.run;
    all.clear();
  }
  showState(news.status);
  for (const e of news.exchanges) {
    all.set(e.id, e);
    if (e.id === wanted || (e.id === chosen && (shown?.id !== e.id || shown.state !== e.state))) {
      if (e.id === wanted) choose(e.id);
      else showDetail(e.id);
      wanted = null;
    }
  }
  for (const [id, e] of all) if (e.seq < news.oldest) all.delete(id);
  if (chosen && !all.has(chosen) && wanted !== chosen) {
    chosen = shown = null;
    $("detail").replaceChildren();
    $("main").classList.remove("reading");
    history.replaceState(null, "", " ");
  }
  if (found !== null && news.exchanges.length) searchSoon();
  redraw();
}

function listen() {
  const events = new EventSource("/api/events");
  events.onmessage = (m) => take(JSON.parse(m.data));
  events.onerror = () => {
    const c = $("connection");
    c.className = "state away";
    c.textContent = "posthorn listen does not run any more";
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

let searching;
function searchSoon() {
  clearTimeout(searching);
  searching = setTimeout(search, 150);
}

async function search() {
  const text = $("text").value.trim();
  if (!text) {
    found = null;
    return redraw();
  }
  try {
    const { ids } = await (await ask(`/api/search?q=${encodeURIComponent(text)}`)).json();
    if (text === $("text").value.trim()) found = new Set(ids);
  } catch (error) {
    notice(error.message);
  }
  redraw();
}

$("filters").addEventListener("submit", (event) => event.preventDefault());
$("text").addEventListener("input", searchSoon);
for (const id of ["method", "status", "kind"]) $(id).addEventListener("change", redraw);
$("clear").addEventListener("click", () => ask("/api/requests/http", { method: "DELETE" }).catch((error) => notice(error.message)));
$("copy-url").addEventListener("click", () => copy(state.public_url, "The address was"));
$("list").addEventListener("click", (event) => {
  const id = event.target.closest("li")?.dataset.id;
  if (id) choose(id);
});
$("list").addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 }[event.key];
  if (by) {
    event.preventDefault();
    step(by);
  } else if (event.key === "Enter" && chosen) {
    choose(chosen);
    $("detail").focus();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("editor").open) return;
  const writing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") return writing ? writing.blur() : unread();
  if (writing) return;
  const action = { "/": () => $("text").focus(), r: replay, e: edit, c: copyCurl }[event.key];
  if (action) {
    event.preventDefault();
    action();
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && event.target === document.body) {
    event.preventDefault();
    $("list").focus();
    step(event.key === "ArrowDown" ? 1 : -1);
  }
});

if (location.hash.length > 1) chosen = wanted = decodeURIComponent(location.hash.slice(1));
listen();
