// Bytes from the API as a file, never as something that a browser would show.
import { authHeaders, fill, queryString } from "$lib/api";
import { auth } from "$lib/auth";
import { saveFile } from "$lib/clipboard";
import { ApiError, problemOf } from "$lib/problem";

/** Fetches an address of the API and saves what it gives, byte for byte. */
export async function download(template: string, options: { path: Record<string, string | number>; query?: Record<string, unknown>; tenant?: string | undefined }, name: string): Promise<void> {
  const headers: Record<string, string> = authHeaders();
  if (options.tenant) headers["Posthorn-Tenant"] = options.tenant;
  let response: Response;
  try {
    response = await fetch(fill(template, options.path) + queryString(options.query), { headers, credentials: auth.credentials, cache: "no-store" });
  } catch {
    throw new ApiError(0, { code: "network" });
  }
  if (!response.ok) throw await problemOf(response);
  saveFile(name, new Blob([await response.arrayBuffer()], { type: "application/octet-stream" }));
}

/** A file's name out of what a stranger calls it: no folders, no control characters. */
export function safeName(name: string, fallback: string): string {
  const last = name.split(/[/\\]/).pop() ?? "";
  const clean = [...last].filter((c) => c >= " " && !'<>:"|?*\u007f'.includes(c) && !/[\u202a-\u202e\u2066-\u2069]/.test(c)).join("").replace(/^\.+/, "").trim();
  return clean.slice(0, 120) || fallback;
}
