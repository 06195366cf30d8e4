// Publishes events and measures how long each way takes to bring them back.
import { draw, mark } from "./chart.js";
import { connect, make, names, page, shown } from "./session.js";

const listening = ["websocket", "sse", "poll"];
const ways = ["webhook", ...listening];
const every = 2_000; // ms between automatic events
const kept = 500; // events of the median and p99
/** After how long the receiver is asked whether it has the webhook, in milliseconds, again and again. */
const askAfter = [60, 150, 400, 1000, 2000, 4000];

/** @type {{ id: string, at: number, delays: Record<string, number | undefined> }[]} */
const events = [];
const rows = new Map();
const chart = document.getElementById("chart");
let last = 0; // number of the last event
let publisher;
let clients = [];
let timer;

/** Builds the table and starts. */
export function start() {
  for (const way of [...ways, "stored"]) document.getElementById("ways").append(row(way));
  draw(chart, events, ways);
  document.getElementById("publish").addEventListener("click", () => void publish());
  const automatic = document.getElementById("automatic");
  automatic.addEventListener("change", () => run(automatic.checked));
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen(automatic.checked)));
  if (!document.hidden) listen(automatic.checked);
}

function row(way) {
  const cells = { last: make("td", { class: "last" }), median: make("td"), p99: make("td"), count: make("td") };
  const about = { webhook: "on the server's clock", stored: "the answer to publishing" }[way];
  const state = make("small", about ? {} : { class: "state", role: "status" }, about ?? "connecting");
  rows.set(way, { ...cells, state });
  for (const name of ["last", "median", "p99"]) put(cells[name], undefined);
  cells.count.textContent = "0";
  const name = make("th", { scope: "row" }, mark(way), make("span", {}, names[way], state));
  return make("tr", { class: way, "data-way": way }, name, cells.last, cells.median, cells.p99, cells.count);
}

function put(cell, ms) {
  const [number, unit] = shown(ms);
  cell.replaceChildren(number, ...(unit ? [make("small", {}, unit)] : []));
}

/** Opens one listener a way, each with its own connection and nothing to fall back to. */
async function listen(automatic) {
  stop();
  publisher = connect();
  clients = listening.map((way) => {
    const client = connect(way);
    client.addEventListener("state", ({ detail }) => {
      const { state } = rows.get(way);
      state.className = `state ${detail.state}`;
      state.textContent = { open: "listening", connecting: "connecting", waiting: "the server is away", closed: "closed" }[detail.state];
    });
    const sub = client.subscribe({ types: ["demo.ping"], subjects: [`ping/${page}`], onError: () => {} }, (event) => arrived(way, event.id));
    return { client, sub };
  });
  const mine = clients;
  await Promise.allSettled(clients.map(({ sub }) => sub.ready));
  if (clients === mine) run(automatic);
}

function stop() {
  run(false);
  publisher?.close();
  for (const { client } of clients) client.close();
  clients = [];
}

function run(automatic) {
  clearInterval(timer);
  if (automatic && clients.length > 0) timer = setInterval(() => void publish(), every);
}

async function publish() {
  const event = { id: `${page}-${++last}`, at: performance.now(), delays: {} };
  events.push(event);
  if (events.length > kept) events.shift();
  try {
    await publisher.publish({ id: event.id, type: "demo.ping", source: "/demo", subject: `ping/${page}`, data: { number: last } }, { overHTTP: true, timeout: 20_000 });
    note("stored", event, performance.now() - event.at);
    await askReceiver(event);
  } catch {
    // The state of the listeners says it: the server is away.
  }
}

/** A listener has an event. */
function arrived(way, id) {
  const now = performance.now();
  const event = events.findLast((e) => e.id === id);
  if (event) note(way, event, now - event.at);
}

/** Asks the receiver when the webhook came, until it knows. */
async function askReceiver(event) {
  for (const wait of askAfter) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    try {
      const response = await fetch(`/demo/arrivals?id=${encodeURIComponent(event.id)}`, { cache: "no-store" });
      if (response.status === 200) return note("webhook", event, (await response.json()).delay_ms);
    } catch {
      // The server is away; it may know when it is back.
    }
  }
}

function note(way, event, ms) {
  event.delays[way] = ms;
  const sorted = events.map((e) => e.delays[way]).filter((d) => d !== undefined).sort((a, b) => a - b);
  const r = rows.get(way);
  put(r.last, ms);
  put(r.median, sorted[Math.floor((sorted.length - 1) / 2)]);
  put(r.p99, sorted[Math.ceil(sorted.length * 0.99) - 1]);
  r.count.textContent = String(sorted.length);
  r.last.classList.add("fresh");
  requestAnimationFrame(() => requestAnimationFrame(() => r.last.classList.remove("fresh")));
  draw(chart, events, ways);
}
