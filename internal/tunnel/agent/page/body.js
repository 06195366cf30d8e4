// Shows a body: pretty, as it came, or as bytes.
import { formOf, hexOf, kindOf, longest, prettyJSON, prettyXML, textOf } from "./pretty.js";
import { el, size } from "./dom.js";

const mostUnpacked = 4 * 1024 * 1024;

/** A table of [name, value]. */
export function pairs(list) {
  const table = el("tbody");
  for (const [name, value] of list) table.append(el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)));
  return el("table", { class: "pairs" }, table);
}

/** The part of a message that is its body; address is where all of its bytes can be got. */
export function bodyView(m, address) {
  const header = (name) => m.headers.find((h) => h.name.toLowerCase() === name)?.value ?? "";
  const box = el("div", { class: "body" });
  const encoding = header("content-encoding").trim().toLowerCase();
  const views = viewsOf(m.bytes, header("content-type"), m.cut);
  const draw = (list, note) => {
    const bar = el("div", { class: "bodybar" });
    const place = el("div");
    const buttons = list.map(([name, make], i) => {
      const b = el("button", { type: "button", class: "small", "aria-pressed": String(i === 0) }, name);
      b.addEventListener("click", () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === b));
        place.replaceChildren(...make());
      });
      return b;
    });
    place.append(...list[0][1]());
    bar.append(...buttons, el("a", { href: address, download: "" }, "Download"), ...(note ? [el("span", {}, note)] : []));
    box.replaceChildren(bar, place);
  };
  draw(views, m.cut ? `only the first ${size(m.bytes.length)} were kept` : "");
  if (["gzip", "x-gzip", "deflate"].includes(encoding) && !m.cut) {
    unpack(m.bytes, encoding.replace("x-", "")).then((bytes) => {
      if (bytes) draw([...viewsOf(bytes, header("content-type")), ["As it came", () => [hex(m.bytes)]]], `unpacked from ${encoding}: ${size(m.bytes.length)} came`);
    });
  }
  return box;
}

/** The fields of a query or form, or the text itself. */
bodyView.form = (text) => {
  const list = formOf(text);
  return list ? pairs(list) : el("pre", {}, text);
};

function viewsOf(bytes, type, cut = false) {
  const views = [];
  const text = textOf(bytes, cut);
  if (text !== null) {
    const kind = text.length > longest ? "text" : kindOf(type, text);
    if (kind === "json") views.push(["JSON", () => pretty(prettyJSON(text), cut)]);
    if (kind === "xml") views.push(["XML", () => pretty(prettyXML(text), cut)]);
    if (kind === "form") views.push(["Form", () => [bodyView.form(text)]]);
    views.push(["Text", () => [el("pre", {}, text)]]);
  }
  views.push(["Hex", () => [hex(bytes)]]);
  return views;
}

const hex = (bytes) => el("pre", { class: "hex", tabindex: "0" }, hexOf(bytes));

function pretty({ parts, error }, cut) {
  const pre = el("pre");
  for (const [kind, text] of parts) pre.append(kind === "mark" ? el("mark", {}, text) : kind ? el("span", { class: kind }, text) : text);
  if (!error || cut) return [pre];
  return [el("p", { class: "fault" }, `Line ${error.line}, column ${error.column}: ${error.message}.`), pre];
}

/** Decompresses, up to a limit; null when it cannot. */
async function unpack(bytes, format) {
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)).getReader();
    const chunks = [];
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      total += value.length;
      if (total > mostUnpacked) {
        await reader.cancel();
        return null;
      }
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  } catch {
    return null;
  }
}
