// The state of the form: what is typed, what is wrong with it, what would be sent.
import type { Endpoint } from "$api";
import { t } from "$lib/i18n.svelte";
import { takes } from "$lib/pattern";
import type { ApiError } from "$lib/problem";
import { fields, groups, type CatalogueType, type Field, type SeenEvent, type TypeGroup } from "./catalogue";
import { complete, notNumber, type Kind } from "./cel";
import { bodyOf, draftOf, filterOf, keepsSecret, merge, urlFault, type Carried, type Draft } from "./draft";

/** Fields that the form shows, by the first part of the server's name for them. */
const SHOWN = ["url", "description", "types", "filter", "channels", "changed", "payload", "envelope", "format", "batch", "headers", "auth", "signing", "timeout", "retries", "rate_limit", "concurrency", "forever"];
const root = (name: string): string => name.split(/[.[]/)[0] ?? name;

export class Form {
  readonly tenant: string;
  /** The saved endpoint that is edited; undefined: a new one. */
  readonly was: Endpoint | undefined;
  draft: Draft = $state(draftOf());
  catalogue = $state.raw<CatalogueType[]>([]);
  events = $state.raw<SeenEvent[]>([]);
  /** What the server said to the last save or preview. */
  refused = $state.raw<ApiError>();
  /** Saving was tried: what is missing is shown too. */
  tried = $state(false);
  /** The address was left: what is wrong with it is told. */
  urlLeft = $state(false);
  #start = $state(""); // dirty looks at it

  /** Of the chosen types, or of all while nothing of theirs is known. */
  readonly fields: Field[] = $derived.by(() => {
    const { every, types } = this.draft;
    const chosen = (name: string): boolean => every || types.some((p) => takes(p, name));
    const some = this.catalogue.filter((c) => chosen(c.name));
    const seen = this.events.filter((e) => chosen(e.type));
    return some.length + seen.length > 0 ? fields(some, seen) : fields(this.catalogue, this.events);
  });
  readonly groups: TypeGroup[] = $derived(groups(this.catalogue, new Set(this.events.map((e) => e.type))));
  readonly #kinds = $derived(new Map(this.fields.map((f) => [f.name, f.kind])));
  readonly filter: string = $derived.by(() => filterOf(this.draft, this.kind));
  readonly body: Endpoint = $derived.by(() => bodyOf(this.draft, this.kind, this.was));
  readonly dirty: boolean = $derived(JSON.stringify(this.draft) !== this.#start);
  readonly keepsSecret: boolean = $derived.by(() => keepsSecret(this.draft, this.was));
  readonly fault = $derived(urlFault(this.draft.url));
  /** A hook or a tunnel: its form is others' to decide. */
  readonly special: boolean = $derived(this.draft.kind !== "webhook");
  /** What is missing, by field; empty: it can be saved. */
  readonly missing: Record<string, string> = $derived.by(() => {
    const out: Record<string, string> = {};
    if (this.fault !== "" && this.draft.kind !== "tunnel") out.url = t(`endpoints.form.url.${this.fault}`);
    if (!this.draft.every && this.draft.types.length === 0) out.types = t("endpoints.form.types.noneChosen");
    if (this.draft.auth === "bearer" && !this.draft.token && !this.keepsSecret) out["auth.token"] = t("endpoints.form.needed");
    if (this.draft.auth === "basic" && !this.draft.username) out["auth.username"] = t("endpoints.form.needed");
    if (this.draft.filterBy === "rows" && this.draft.rows.some((r) => !complete(r))) out.filter = t("endpoints.form.filter.incomplete");
    else if (this.draft.filterBy === "rows" && this.draft.rows.some((r) => notNumber(r, this.kind(r.field)))) out.filter = t("endpoints.form.filter.incomplete");
    return out;
  });

  /** types: the ones that a new endpoint's form begins with; carried: what was typed before, to go on with. */
  constructor(tenant: string, was?: Endpoint, types: readonly string[] = [], carried?: Carried) {
    this.tenant = tenant;
    this.was = was;
    const now = draftOf(was ?? { types: [...types] });
    this.draft = carried ? merge(now, carried) : now;
    this.#start = JSON.stringify(now);
  }

  /** What is typed, to go on with in another form. */
  get carried(): Carried {
    return { draft: $state.snapshot(this.draft) as Draft, start: JSON.parse(this.#start) as Draft };
  }

  kind = (field: string): Kind => this.#kinds.get(field) ?? "any";

  /** The form as it is is saved. */
  saved(): void {
    this.#start = JSON.stringify(this.draft);
  }

  /** The message for a field: what is missing once saving was tried or something was typed, or what the server says. */
  error(name: string): string | undefined {
    const own = this.missing[name];
    if (own !== undefined && (this.tried || (name === "url" && this.fault !== "empty" && this.urlLeft))) return own;
    const found = this.refused?.errors.find((e) => e.field === name || e.field.startsWith(`${name}[`));
    if (!found) return undefined;
    const at = /\[(\d+)\]$/.exec(found.field)?.[1];
    const value = at === undefined ? undefined : (this.draft[name as "types" | "channels" | "changed" | "retries"] as string[] | undefined)?.[Number(at)];
    return value === undefined ? found.message : `${value}: ${found.message}`;
  }

  /** The messages for headers, by lower-case name. */
  headerError(name: string): string | undefined {
    return this.refused?.errors.find((e) => e.field.toLowerCase() === `headers.${name.toLowerCase()}`)?.message;
  }

  /** The server's names of the fields that show their own messages. */
  get shown(): string[] {
    return (this.refused?.errors ?? []).map((e) => e.field).filter((f) => SHOWN.includes(root(f)));
  }

  /** A section has something wrong in it. */
  wrong(...roots: string[]): boolean {
    return (this.refused?.errors.some((e) => roots.includes(root(e.field))) ?? false) || (this.tried && Object.keys(this.missing).some((m) => roots.includes(root(m))));
  }

  /** As it is previewed: what is still missing is filled with something that shows where it will stand. */
  get sample(): { endpoint: Endpoint; madeUp: boolean } {
    const endpoint = { ...this.body };
    let madeUp = false;
    if (this.fault !== "" && this.draft.kind !== "tunnel") {
      endpoint.url = "https://your-server.example/webhooks";
      madeUp = true;
    }
    if (this.missing["auth.token"] !== undefined) endpoint.auth = { type: "bearer", token: "your-token" };
    if (this.missing["auth.username"] !== undefined) endpoint.auth = { ...endpoint.auth, type: "basic", username: "user" };
    return { endpoint, madeUp };
  }
}
