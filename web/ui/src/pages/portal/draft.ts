// The portal's settings as the form has them: pure.
import type { Portal } from "$api";
import { contrast, parseHex, type RGB } from "$lib/colour";

export interface Draft {
  name: string;
  colour: string;
  logo: string;
  origins: string[];
  language: string;
}

/** The most bytes of a logo's data URL, as the server has it. */
export const MAX_LOGO = 32 << 10;
const KINDS = ["image/png", "image/jpeg", "image/webp", "image/svg+xml"];
/** What a file's dialog offers. */
export const ACCEPT = KINDS.join(",");

export function draftOf(p: Portal): Draft {
  return { name: p.name ?? "", colour: p.colour ?? "", logo: p.logo ?? "", origins: p.origins ?? [], language: p.language ?? "" };
}

/** What is sent; what is empty is left out and goes back to its default. */
export function portalOf(d: Draft): Portal {
  const p: Portal = {};
  if (d.name.trim()) p.name = d.name.trim();
  if (d.colour) p.colour = d.colour.toLowerCase();
  if (d.logo) p.logo = d.logo;
  if (d.origins.length > 0) p.origins = d.origins;
  if (d.language) p.language = d.language;
  return p;
}

/** Whether a text is a web origin that the server would take. */
export function isOrigin(text: string): boolean {
  if (!/^https?:\/\/[^/?#@]+\/?$/i.test(text) || !URL.canParse(text)) return false;
  return new URL(text).hostname !== "";
}

/** A file as a data URL, or which of the two faults it has. */
export async function readLogo(file: File): Promise<{ url: string } | { fault: "kind" } | { fault: "large"; bytes: number }> {
  if (!KINDS.includes(file.type)) return { fault: "kind" };
  if (file.size > MAX_LOGO) return { fault: "large", bytes: file.size };
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const url = `data:${file.type};base64,${btoa(binary)}`;
  return url.length > MAX_LOGO ? { fault: "large", bytes: file.size } : { url };
}

/** The bytes that a data URL's image has. */
export function logoBytes(url: string): number {
  const text = url.slice(url.indexOf(",") + 1);
  return Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}

/** The most bytes of a file that fits into a data URL. */
export const MAX_FILE = Math.floor(((MAX_LOGO - 32) * 3) / 4);

const WHITE: RGB = [255, 255, 255];
const DARK: RGB = [25, 25, 23];

/** How a colour stands on the two themes' surfaces. */
export function grounds(colour: string): { light: number; dark: number } | undefined {
  const rgb = parseHex(colour);
  return rgb && { light: contrast(rgb, WHITE), dark: contrast(rgb, DARK) };
}
