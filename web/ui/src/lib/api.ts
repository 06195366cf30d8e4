// The typed client of the API: paths, parameters, bodies and answers come from docs/openapi.json (npm run api).
import type { paths } from "../api/schema";
import { auth, onUnauthorized } from "./auth";
import { ApiError, isAbort, problemOf } from "./problem";

export type Method = "get" | "post" | "put" | "patch" | "delete";

type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M & keyof paths[P]]>;
/** The paths that have a method. */
export type PathsWith<M extends Method> = {
  [P in keyof paths]: M extends keyof paths[P] ? (paths[P][M] extends undefined ? never : P) : never;
}[keyof paths];

type Parameters<O> = O extends { parameters: infer X } ? X : never;
type PathOf<O> = Parameters<O> extends { path: infer X } ? { path: X } : { path?: undefined };
type QueryOf<O> = Parameters<O> extends { query?: infer X } ? { query?: Partial<NonNullable<X>> } : { query?: undefined };
type JSONIn<B> = B extends { content: infer C } ? C[keyof C & `application/json${string}`] : never;
type BodyOf<O> = O extends { requestBody: infer B }
  ? { body: JSONIn<B> }
  : O extends { requestBody?: infer B }
    ? { body?: JSONIn<NonNullable<B>> }
    : { body?: undefined };
type Success<O> = O extends { responses: infer R } ? R[keyof R & (200 | 201 | 202)] : never;
type Answer<O> = Success<O> extends { content: infer C }
  ? C extends { "application/json": infer J }
    ? J
    : unknown
  : undefined;

export interface Common {
  /** Ends the request; pages that use load() or pages() need not give one. */
  signal?: AbortSignal | undefined;
  /** The ETag that was read, sent as If-Match: the server refuses (412) if somebody changed it since. */
  etag?: string | undefined;
  headers?: Record<string, string>;
  /** The tenant that a person with several means, on routes outside of tenants. */
  tenant?: string | undefined;
}
export type Options<P extends keyof paths, M extends Method> = Common &
  PathOf<Operation<P, M>> &
  QueryOf<Operation<P, M>> &
  BodyOf<Operation<P, M>>;
type Rest<T> = Record<never, never> extends T ? [options?: T] : [options: T];

/** An answer with what its head said. text is the body as it came, for raw views. */
export interface Reply<T> {
  data: T;
  etag: string | undefined;
  location: string | undefined;
  status: number;
  text: string;
  headers: Headers;
}

export interface Loose extends Common {
  path?: Record<string, string | number> | undefined;
  query?: Record<string, unknown> | undefined;
  body?: unknown;
}

/** Puts parameters into a path template, each encoded: fill("/v1/tenants/{tenant}", {tenant: "a/b"}). */
export function fill(template: string, path: Record<string, unknown> = {}): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name] ?? "")));
}

/** A query string with its "?", without what is empty; arrays become comma-separated lists, as the API takes them. */
export function queryString(query: Record<string, unknown> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) {
      if (value.length > 0) search.set(name, value.join(","));
    } else search.set(name, String(value as string | number | boolean));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** The headers that say who asks. With a session cookie there are none. */
export function authHeaders(): Record<string, string> {
  const token = auth.token;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Sends a request of any shape and gives the whole answer. Prefer the typed ones; this is for routes not in the schema. */
export async function send<T>(method: Method, template: string, options: Loose = {}): Promise<Reply<T>> {
  const headers: Record<string, string> = { Accept: "application/json", ...authHeaders(), ...options.headers };
  if (options.etag) headers["If-Match"] = options.etag;
  if (options.tenant) headers["Posthorn-Tenant"] = options.tenant;
  const init: RequestInit = { method: method.toUpperCase(), headers, credentials: auth.credentials, cache: "no-store" };
  if (options.body !== undefined) {
    headers["Content-Type"] ??= "application/json";
    init.body = typeof options.body === "string" ? options.body : JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  const url = fill(template, options.path) + queryString(options.query);
  let response: Response;
  let text = "";
  try {
    response = await fetch(url, init);
    if (response.ok) text = await response.text();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, { code: "network", detail: "" });
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401) onUnauthorized(url, problem.code);
    throw problem;
  }
  const json = (response.headers.get("content-type") ?? "").includes("json");
  return {
    data: (text && json ? JSON.parse(text) : undefined) as T,
    etag: response.headers.get("etag") ?? undefined,
    location: response.headers.get("location") ?? undefined,
    status: response.status,
    text,
    headers: response.headers,
  };
}

function typed<M extends Method>(method: M) {
  return async <P extends PathsWith<M>>(path: P, ...rest: Rest<Options<P, M>>): Promise<Answer<Operation<P, M>>> =>
    (await send<Answer<Operation<P, M>>>(method, path as string, rest[0] as Loose | undefined)).data;
}

export const api = {
  /** api.get("/v1/tenants/{tenant}/events", {path: {tenant}, query: {limit: 50}}) → the answer's JSON. */
  get: typed("get"),
  post: typed("post"),
  put: typed("put"),
  patch: typed("patch"),
  /** DELETE, whose name is a word of the language. */
  del: typed("delete"),
  /** Like get, but gives the ETag, the raw text and the headers too. */
  read: <P extends PathsWith<"get">>(path: P, ...rest: Rest<Options<P, "get">>): Promise<Reply<Answer<Operation<P, "get">>>> =>
    send("get", path as string, rest[0] as Loose | undefined),
  send,
};

/** The absolute address of an API path, for curl commands. */
export function absolute(template: string, path: Record<string, unknown> = {}, query: Record<string, unknown> = {}): string {
  return location.origin + fill(template, path) + queryString(query);
}
