// Every area's texts as one catalogue.
import common from "./common.cs";
import overview from "./overview.cs";
import events from "./events.cs";
import endpoints from "./endpoints.cs";
import types from "./types.cs";
import streams from "./streams.cs";
import queues from "./queues.cs";
import sources from "./sources.cs";
import bins from "./bins.cs";
import admin from "./admin.cs";
import portal from "./portal.cs";
import login from "./login.cs";

export default { ...common, ...overview, ...events, ...endpoints, ...types, ...streams, ...queues, ...sources, ...bins, ...admin, ...portal, ...login } as const;
