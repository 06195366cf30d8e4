// Every area's texts as one catalogue, checked against the English one: npm run check names each text that is missing or does not fit.
import type { Complete } from "$lib/message";
import type en from "./en";
import common from "./common.cs";
import overview from "./overview.cs";
import events from "./events.cs";
import endpoints from "./endpoints.cs";
import endpointsForm from "./endpoints-form.cs";
import types from "./types.cs";
import streams from "./streams.cs";
import queues from "./queues.cs";
import sources from "./sources.cs";
import bins from "./bins.cs";
import admin from "./admin.cs";
import portal from "./portal.cs";
import login from "./login.cs";

const cs = { ...common, ...overview, ...events, ...endpoints, ...endpointsForm, ...types, ...streams, ...queues, ...sources, ...bins, ...admin, ...portal, ...login } as const;

true satisfies Complete<typeof en, typeof cs>;
export default cs;
