// What the server says when it refuses: a problem document (RFC 9457), as an error that pages can show.
export interface FieldProblem {
  field: string;
  message: string;
}

export interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  code?: string;
  detail?: string;
  errors?: FieldProblem[] | null;
}

/** An answer that is not a success. status is 0 when no answer came at all (offline, refused, cut). */
export class ApiError extends Error {
  readonly status: number;
  /** The stable code: "not_found", "invalid", "etag_mismatch", … or "network" when no answer came. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: FieldProblem[];
  /** Seconds to wait, as the server's Retry-After says. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: ProblemDocument, retryAfter?: number) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.code = problem.code ?? (status === 0 ? "network" : "unknown");
    this.title = problem.title ?? "";
    this.detail = problem.detail ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfter = retryAfter;
  }

  /** The message for one form field, if the server named it: "url", "headers.X-Api", "batch.max". */
  field(name: string): string | undefined {
    return this.errors.find((e) => e.field === name)?.message;
  }

  /** All fields' messages by name, for <Field error={problem.fields.url}>. */
  get fields(): Record<string, string> {
    const out: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const e of this.errors) out[e.field] ??= e.message;
    return out;
  }

  /** The messages of fields that a form does not show, so that none is lost. */
  others(shown: readonly string[]): FieldProblem[] {
    return this.errors.filter((e) => !shown.includes(e.field));
  }

  get notFound(): boolean {
    return this.status === 404;
  }
  /** Somebody else changed it since it was read. */
  get conflict(): boolean {
    return this.status === 412 || this.status === 409;
  }
}

/** Reads an answer's problem document; anything else becomes one. */
export async function problemOf(response: Response): Promise<ApiError> {
  let problem: ProblemDocument = { title: response.statusText };
  try {
    const type = response.headers.get("content-type") ?? "";
    if (type.includes("json")) problem = (await response.json()) as ProblemDocument;
  } catch {
    // A body that is cut or no JSON says no more than its status.
  }
  const wait = Number(response.headers.get("retry-after"));
  return new ApiError(response.status, problem, Number.isFinite(wait) && wait > 0 ? wait : undefined);
}

/** Whether an error only says that the page was left or the request replaced by a newer one. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Any thrown thing as an ApiError. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, { code: "network", detail: error instanceof Error ? error.message : String(error) });
}
