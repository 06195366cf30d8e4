// Two panes of one chat room, each with its own connection, as if they were in two browsers. What is said is an event.
import { connect, make, names, page, shown } from "./session.js";

const kept = 200; // messages in a pane
const history = 1000; // versions that a new pane looks back

/** Builds the panes of the room in the address. */
export function start() {
  const address = new URL(location.href);
  let room = address.searchParams.get("room") ?? "";
  if (!/^[\w-]{1,40}$/.test(room)) {
    room = page.slice(0, 6);
    address.searchParams.set("room", room);
    globalThis.history.replaceState(null, "", address);
  }
  const copy = document.getElementById("copy");
  copy.addEventListener("click", () => copyAddress(copy));
  for (const [side, name, way] of [["left", "Anna", "websocket"], ["right", "Ben", "poll"]]) {
    document.getElementById("chat").append(pane(room, side, name, way));
  }
}

async function copyAddress(button) {
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it from the address bar"; // not over plain HTTP from elsewhere
  }
  setTimeout(() => (button.textContent = "Copy the address"), 3000);
}

function pane(room, side, name, way) {
  const box = document.getElementById("pane").content.cloneNode(true).firstElementChild;
  const [who, by, state, list, form, text] = [".name", ".by", ".state", ".messages", ".say", ".text"].map((s) => box.querySelector(s));
  box.dataset.side = side;
  who.value = stored(`${side}-name`) ?? name;
  who.addEventListener("change", () => store(`${side}-name`, who.value));
  by.value = way;
  list.append(make("li", { class: "empty" }, "Nobody has said anything yet."));
  const chat = { room, side, list, state, client: undefined, version: undefined };
  const join = () => void open(chat, by.value);
  by.addEventListener("change", join);
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (text.value.trim()) void say(chat, who.value.trim() || name, text);
  });
  join();
  return box;
}

/** Listens over another way from where the last one was. */
async function open(chat, way) {
  chat.client?.close();
  const client = (chat.client = way === "auto" ? connect() : connect(way));
  client.addEventListener("state", ({ detail }) => {
    if (chat.client !== client) return;
    chat.state.className = `state ${detail.state}`;
    const doing = { open: "over", connecting: "connecting over", waiting: "the server is away, lost", closed: "closed" }[detail.state];
    chat.state.textContent = `${doing} ${(names[detail.transport] ?? "").replace(/^S|^L/, (c) => c.toLowerCase())}`;
  });
  try {
    chat.version ??= Math.max((await client.changes({ limit: 1 })).head - history, 0);
  } catch {
    chat.version = 0;
  }
  if (chat.client !== client) return;
  client.subscribe({ start: chat.version + 1, types: ["chat.message"], subjects: [`chat/${chat.room}`], gone: "oldest", onError: () => {} }, (event) => {
    chat.version = event.version;
    show(chat, event);
  });
}

async function say(chat, name, text) {
  const message = { type: "chat.message", source: "/demo", subject: `chat/${chat.room}`, data: { name, text: text.value.trim(), page, side: chat.side, sent: performance.now() } };
  text.value = "";
  try {
    await chat.client.publish(message);
  } catch (error) {
    add(chat, make("li", { class: "mine" }, make("span", { class: "by" }, `“${message.data.text}” was not taken: ${error.message}`)));
  }
}

function show(chat, { data, time }) {
  if (typeof data?.text !== "string") return;
  const here = data.page === page;
  const mine = here && data.side === chat.side;
  // Sent from this page, it is measured on this page's clock.
  const took = here ? `after ${shown(performance.now() - data.sent).join(" ")}` : new Date(time).toLocaleTimeString();
  const item = make("li", mine ? { class: "mine" } : {}, make("span", { class: "said" }, data.text), make("span", { class: "by" }, `${data.name}, ${took}`));
  add(chat, item);
}

function add({ list }, item) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.querySelector(".empty")?.remove();
  list.append(item);
  while (list.children.length > kept) list.firstElementChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function stored(name) {
  try {
    return sessionStorage.getItem(name) ?? undefined;
  } catch {
    return undefined; // not allowed
  }
}

function store(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // not allowed
  }
}
