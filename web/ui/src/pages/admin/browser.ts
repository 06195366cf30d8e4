// A browser's name for people, out of its User-Agent: pure.
const BROWSERS: [name: string, pattern: RegExp][] = [
  ["Edge", /\bEdgA?\/([\d]+)/],
  ["Opera", /\bOPR\/([\d]+)/],
  ["Samsung Internet", /\bSamsungBrowser\/([\d]+)/],
  ["Firefox", /\b(?:Firefox|FxiOS)\/([\d]+)/],
  ["Chrome", /\b(?:Chrome|CriOS|HeadlessChrome)\/([\d]+)/],
  ["Safari", /\bVersion\/([\d]+).*Safari/],
];
const SYSTEMS: [name: string, pattern: RegExp][] = [
  ["Android", /Android/],
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["Windows", /Windows/],
  ["macOS", /Mac OS X|Macintosh/],
  ["ChromeOS", /CrOS/],
  ["Linux", /Linux|X11/],
];

/** The browser with its version, and the system; what is not known is absent. */
export function browserOf(agent: string | undefined): { browser?: string; system?: string } {
  if (!agent) return {};
  const out: { browser?: string; system?: string } = {};
  for (const [name, pattern] of BROWSERS) {
    const m = pattern.exec(agent);
    if (!m) continue;
    out.browser = `${name} ${m[1] ?? ""}`.trim();
    break;
  }
  const system = SYSTEMS.find(([, pattern]) => pattern.test(agent));
  if (system) out.system = system[0];
  return out;
}
