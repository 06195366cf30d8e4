// Every area's texts as one catalogue.
import common from "./common.en";
import overview from "./overview.en";
import events from "./events.en";
import endpoints from "./endpoints.en";
import endpointsForm from "./endpoints-form.en";
import types from "./types.en";
import streams from "./streams.en";
import queues from "./queues.en";
import sources from "./sources.en";
import bins from "./bins.en";
import admin from "./admin.en";
import portal from "./portal.en";
import login from "./login.en";

export default { ...common, ...overview, ...events, ...endpoints, ...endpointsForm, ...types, ...streams, ...queues, ...sources, ...bins, ...admin, ...portal, ...login } as const;
