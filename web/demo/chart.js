// The chart of the last events' delays: one line and one shape of dot for each way.
import { make } from "./session.js";

const shapes = {
  webhook: "M0-5 5 4H-5Z", websocket: "M-4-4H4V4H-4Z", sse: "M0-5.5 5.5 0 0 5.5-5.5 0Z", poll: "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0", stored: "M-5-1H5V1H-5Z",
};

/** A way's mark, for the table. */
export const mark = (way) => make("svg", { class: "mark", viewBox: "-6 -6 12 12", "aria-hidden": "true" }, make("path", { d: shapes[way] }));

const width = 640;
const height = 250;
const left = 46;
const right = 10;
const top = 12;
const bottom = 12;
/** How many events are shown. */
export const shownEvents = 40;

/**
 * Draws it anew.
 *
 * @param {SVGElement} svg
 * @param {{ delays: Record<string, number | undefined> }[]} events The newest last.
 * @param {string[]} ways
 */
export function draw(svg, events, ways) {
  const shown = events.slice(-shownEvents);
  const all = shown.flatMap((e) => ways.map((way) => e.delays[way]).filter((d) => d !== undefined));
  if (all.length === 0) {
    svg.replaceChildren(make("text", { class: "none", x: width / 2, y: height / 2 }, "No event yet"));
    return;
  }
  const low = 10 ** Math.floor(Math.log10(Math.max(Math.min(...all), 0.1)));
  const high = Math.max(10 ** Math.ceil(Math.log10(Math.max(...all) * 1.05)), low * 10);
  const y = (ms) => top + (height - top - bottom) * (1 - Math.log(Math.max(ms, low) / low) / Math.log(high / low));
  const x = (i) => left + ((width - left - right) * (i + 0.5 + shownEvents - shown.length)) / shownEvents;
  const parts = [];
  for (let ms = low; ms <= high * 1.001; ms *= 10) {
    parts.push(make("line", { class: "grid", x1: left, x2: width - right, y1: y(ms), y2: y(ms) }));
    parts.push(make("text", { class: "tick", x: left - 8, y: y(ms) }, ms >= 1000 ? `${ms / 1000} s` : `${+ms.toPrecision(1)}`));
  }
  for (const way of ways) {
    const points = shown.map((e, i) => [x(i), e.delays[way]]).filter(([, ms]) => ms !== undefined).map(([at, ms]) => [at, y(ms)]);
    const g = make("g", { class: way }, make("polyline", { class: "run", points: points.map((p) => p.map((n) => n.toFixed(1)).join(",")).join(" ") }));
    for (const [px, py] of points) g.append(make("path", { class: "dot", d: shapes[way], transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})` }));
    parts.push(g);
  }
  svg.replaceChildren(...parts);
}
