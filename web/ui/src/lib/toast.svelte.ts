// Short messages at the edge of the page: done(), failed().
import { asApiError, isAbort } from "./problem";
import { t } from "./i18n.svelte";

export interface Toast {
  id: number;
  kind: "ok" | "bad" | "info";
  text: string;
  /** One thing to do: undo, look at it. */
  action?: { label: string; run: () => void };
}

let list = $state.raw<Toast[]>([]);
let count = 0;

export function toasts(): readonly Toast[] {
  return list;
}

export function dismiss(id: number): void {
  list = list.filter((toast) => toast.id !== id);
}

/** Shows a message for some seconds; errors stay longer. */
export function notify(kind: Toast["kind"], text: string, act?: Toast["action"]): void {
  const toast: Toast = act ? { id: ++count, kind, text, action: act } : { id: ++count, kind, text };
  list = [...list.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), kind === "bad" ? 12_000 : act ? 8000 : 4000);
}

export const done = (text: string, act?: Toast["action"]): void => notify("ok", text, act);

/** Tells of an error that has no better place on the page. */
export function failed(error: unknown): void {
  if (isAbort(error)) return;
  const e = asApiError(error);
  notify("bad", e.code === "network" ? t("common.error.network.title") : e.message);
}
