// What an area's routes.ts lists.
import type { Component } from "svelte";
import type { Plain } from "./i18n.svelte";

export interface PageProps {
  /** The address's parameters, decoded: params.tenant, params.id … */
  params: Record<string, string>;
}

// A page may take params or nothing; what it gets is always PageProps.
export type PageComponent = Component<any>;

export interface Route {
  /** "/t/:tenant/events/:id", without the /ui in front. */
  path: string;
  /** The page's name in the window's title until the page sets a better one with <PageHeader>. */
  title: Plain;
  /** The page, in the area's own chunk: async () => (await import("./pages")).List. */
  load: () => Promise<PageComponent>;
  /** Texts that it needs besides those of its title's area: the names of files of texts/, such as "endpoints-form". */
  texts?: readonly string[];
  /** Whether a customer in the portal may see it (with /t/:tenant/ in front; the portal's addresses are made of it). */
  portal?: boolean;
  /** Pages without the shell around them: the login. */
  bare?: boolean;
}
