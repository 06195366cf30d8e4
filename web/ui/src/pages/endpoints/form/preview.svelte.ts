// What would be sent, asked of the server whenever the form rests; answers that come late are dropped.
import type { Preview, PreviewRequest, Tried } from "$api";
import { api } from "$lib/api";
import { asApiError, isAbort, type ApiError } from "$lib/problem";
import type { Form } from "./form.svelte";

/** "" is the newest event that matches, else "type:" and a catalogued type whose example is sent. */
export type Sample = string;

export class LivePreview {
  readonly #form: Form;
  sample = $state<Sample>("");
  answer = $state.raw<Preview>();
  error = $state.raw<ApiError>();
  /** What is shown is not of the form as it is now. */
  stale = $state(false);
  madeUp = $state(false);
  tried = $state.raw<Tried>();
  trying = $state(false);
  tryError = $state.raw<ApiError>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort: AbortController | undefined;
  #trying: AbortController | undefined;

  constructor(form: Form) {
    this.#form = form;
  }

  request(): PreviewRequest & { madeUp: boolean } {
    const { endpoint, madeUp } = this.#form.sample;
    const type = this.sample.startsWith("type:") ? this.sample.slice(5) : undefined;
    const example = this.#form.catalogue.find((c) => c.name === type)?.examples?.[0];
    return {
      endpoint,
      madeUp,
      ...(this.#form.was ? { id: this.#form.was.id } : {}),
      ...(type ? { event: { type, subject: `${type.split(".")[0]}/1`, data: example ?? {} } } : {}),
    };
  }

  /** The form changed. */
  later(): void {
    this.stale = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), 300);
  }

  async #run(): Promise<void> {
    this.#abort?.abort();
    const mine = (this.#abort = new AbortController());
    const { madeUp, ...body } = this.request();
    try {
      const data = await api.post("/v1/tenants/{tenant}/endpoints/preview", { path: { tenant: this.#form.tenant }, body, signal: mine.signal });
      if (mine.signal.aborted) return;
      this.answer = data;
      this.madeUp = madeUp;
      this.error = undefined;
      this.#form.refused = undefined;
    } catch (error) {
      if (mine.signal.aborted || isAbort(error)) return;
      this.error = asApiError(error);
      if (this.error.status === 422) this.#form.refused = this.error;
    }
    this.stale = false;
  }

  /** Sends it once, now. */
  async try(): Promise<void> {
    if (this.trying) return;
    this.trying = true;
    this.tryError = undefined;
    const mine = (this.#trying = new AbortController());
    const { madeUp: _, ...body } = this.request();
    try {
      const data = await api.post("/v1/tenants/{tenant}/endpoints/try", { path: { tenant: this.#form.tenant }, body, signal: mine.signal });
      this.tried = data;
    } catch (error) {
      if (mine.signal.aborted || isAbort(error)) return;
      this.tried = undefined;
      this.tryError = asApiError(error);
      if (this.tryError.status === 422) this.#form.refused = this.tryError;
    } finally {
      this.trying = false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#trying?.abort();
  }
}
