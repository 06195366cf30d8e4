// Data that is no JSON: pure.
/** The bytes of a base 64 text; none if it is not one. */
export function unpack(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** The text that bytes are in UTF-8; undefined when they are none, or hold control characters. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Lines of 16 bytes: place, hexadecimal, characters. */
export function hex(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const lines: string[] = [];
  for (let at = from; at < Math.min(to, bytes.length); at += 16) {
    const part = [...bytes.subarray(at, Math.min(at + 16, to))];
    const digits = part.map((b) => b.toString(16).padStart(2, "0")).join(" ");
    const characters = part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${characters}`);
  }
  return lines.join("\n");
}

/** Bytes that a text has in UTF-8. */
export function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
