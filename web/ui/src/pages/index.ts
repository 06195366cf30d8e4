// Every area's routes. An area adds a page in its own routes.ts; nothing here changes.
import type { Route } from "$lib/routes";
import { routes as overview } from "./overview/routes";
import { routes as events } from "./events/routes";
import { routes as endpoints } from "./endpoints/routes";
import { routes as types } from "./types/routes";
import { routes as streams } from "./streams/routes";
import { routes as queues } from "./queues/routes";
import { routes as sources } from "./sources/routes";
import { routes as bins } from "./bins/routes";
import { routes as admin } from "./admin/routes";
import { routes as portal } from "./portal/routes";
import { routes as login } from "./login/routes";

export const routes: readonly Route[] = [...overview, ...events, ...endpoints, ...types, ...streams, ...queues, ...sources, ...bins, ...admin, ...portal, ...login];
