// A queue as its form holds it, and as the API takes it: pure.
import type { Queue } from "$api";

export interface Draft {
  name: string;
  description: string;
  types: string[];
  subjects: string[];
  filter: string;
  order: "none" | "key";
  visibility: string;
  deliveries: number | undefined;
  open: number | undefined;
  start: "new" | "oldest" | "version";
  version: number | undefined;
}

export function draftOf(q?: Queue): Draft {
  return {
    name: q?.name ?? "",
    description: q?.description ?? "",
    types: [...(q?.types ?? [])],
    subjects: [...(q?.subjects ?? [])],
    filter: q?.filter ?? "",
    order: q?.order ?? "none",
    visibility: q?.visibility ?? "30s",
    deliveries: q?.max_deliveries ?? 5,
    open: q?.max_open ?? 1000,
    start: "new",
    version: undefined,
  };
}

/** The body of the PUT. Of a queue that is there what the form does not show stays; where it began cannot be changed. */
export function bodyOf(d: Draft, old?: Queue): Record<string, unknown> {
  return {
    description: d.description.trim(),
    types: d.types,
    subjects: d.subjects,
    filter: d.filter.trim(),
    order: d.order,
    visibility: d.visibility || "30s",
    max_deliveries: d.deliveries ?? 0,
    max_open: d.open ?? 1000,
    metadata: old?.metadata ?? {},
    ...(old === undefined && d.start !== "new" ? { start: d.start === "oldest" ? 1 : (d.version ?? 1) } : {}),
  };
}
