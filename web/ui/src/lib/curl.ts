// Commands to copy: quoted so that a shell takes them as they are, whatever a stranger put into the data.
/** Quotes a text for POSIX shells. */
export function quote(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export interface CurlRequest {
  method?: string;
  url: string;
  headers?: [name: string, value: string][];
  body?: string;
}

/** A curl command over several lines. The API key is a shell variable, never the key itself. */
export function curl(request: CurlRequest): string {
  const method = request.method ?? (request.body === undefined ? "GET" : "POST");
  const implied = request.body === undefined ? "GET" : "POST";
  const lines = [`curl${method === implied ? "" : ` -X ${quote(method)}`} ${quote(request.url)}`];
  for (const [name, value] of request.headers ?? []) {
    lines.push(value.includes("$POSTHORN_KEY") ? `  -H "${name}: ${value}"` : `  -H ${quote(`${name}: ${value}`)}`);
  }
  if (request.body !== undefined) lines.push(`  --data-raw ${quote(request.body)}`);
  return lines.join(" \\\n");
}

/** A curl command to this server's API: with the key from $POSTHORN_KEY and JSON if there is a body. */
export function apiCurl(method: string, url: string, body?: unknown): string {
  const headers: [string, string][] = [["Authorization", "Bearer $POSTHORN_KEY"]];
  if (body !== undefined) headers.push(["Content-Type", "application/json"]);
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return curl(text === undefined ? { method, url, headers } : { method, url, headers, body: text });
}
