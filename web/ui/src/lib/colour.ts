// A customer's colour made legible on our surfaces: pure.
export type RGB = [number, number, number];

export function parseHex(text: string | undefined): RGB | undefined {
  const m = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text ?? "");
  return m ? [parseInt(m[1] ?? "", 16), parseInt(m[2] ?? "", 16), parseInt(m[3] ?? "", 16)] : undefined;
}

function luminance([r, g, b]: RGB): number {
  const lin = (v: number): number => (v <= 10.31475 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b);
}

/** WCAG's contrast of two colours, 1…21. */
export function contrast(a: RGB, b: RGB): number {
  const [hi, lo] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (hi + 0.05) / (lo + 0.05);
}

const hex = (c: RGB): string => `#${c.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("")}`;
const mix = (a: RGB, b: RGB, share: number): RGB => [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];

/** Moves a colour toward black or white until it has the contrast on a ground. */
function legible(colour: RGB, ground: RGB, want: number): RGB {
  const pole: RGB = luminance(ground) > 0.4 ? [0, 0, 0] : [255, 255, 255];
  for (let share = 0; share <= 1; share += 0.04) {
    const tried = mix(colour, pole, share);
    if (contrast(tried, ground) >= want) return tried;
  }
  return pole;
}

/** The tokens that a brand's colour sets, for either theme; none if there is no colour. */
export function brandColours(colour: string | undefined, dark: boolean): Record<string, string> {
  const brand = parseHex(colour);
  if (!brand) return {};
  const ground: RGB = dark ? [25, 25, 23] : [255, 255, 255];
  const on: RGB = contrast(brand, [255, 255, 255]) >= 4.5 ? [255, 255, 255] : [23, 22, 19];
  // A button must also stand out from the page: a nearly black one on the dark page becomes lighter, a nearly white one on the light page darker.
  const standing = legible(brand, dark ? [17, 17, 15] : [255, 255, 255], dark ? 2 : 1.2);
  const fill = contrast(standing, on) >= 4.5 ? standing : legible(standing, on, 4.5);
  return {
    "--brass": hex(legible(brand, ground, 3)),
    "--link": hex(legible(brand, dark ? [33, 33, 30] : [250, 249, 247], 5)),
    "--focus": hex(legible(brand, ground, 3.2)),
    "--ink": hex(fill),
    "--ink-hover": hex(mix(fill, on, 0.08)),
    "--on-ink": hex(on),
  };
}

/** Whether a logo would hardly be seen on a ground: what it is made of, without its clear parts, has too little contrast. */
export async function isLost(logo: string, dark: boolean): Promise<boolean> {
  const image = new Image();
  image.src = logo;
  await image.decode();
  const side = 48;
  const canvas = new OffscreenCanvas(side, side).getContext("2d");
  if (!canvas || image.naturalWidth === 0) return false;
  canvas.drawImage(image, 0, 0, side, side);
  return lost(canvas.getImageData(0, 0, side, side).data, dark);
}

/** The same of an image's pixels, four bytes each. */
export function lost(pixels: ArrayLike<number>, dark: boolean): boolean {
  const ground: RGB = dark ? [17, 17, 15] : [250, 249, 247];
  let all = 0;
  let seen = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = (pixels[i + 3] ?? 0) / 255;
    all += alpha;
    if (contrast([pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0], ground) >= 1.6) seen += alpha;
  }
  return all > 0 && seen / all < 0.25;
}
