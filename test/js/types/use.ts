// Is only compiled: the classes are what posthorn.d.ts declares, and their users' code is typed as meant.
import * as declared from "../../../web/client/posthorn.js";
import { Posthorn as Made } from "../../../web/client/lib/client.js";
import { PosthornError as MadeError } from "../../../web/client/lib/errors.js";
import { Queue as MadeQueue } from "../../../web/client/lib/queue.js";
import { Subscription as MadeSubscription } from "../../../web/client/lib/subscription.js";

type Members<T> = { [K in keyof T]: T[K] };

// EventTarget's own methods are declared for "state" events; there is no code of ours to compare.
export const client: new (options: declared.PosthornOptions) => Omit<declared.Posthorn, "addEventListener" | "removeEventListener"> = Made;
export const error: Members<declared.PosthornError> = new MadeError("");
export const queue = (made: MadeQueue): Members<declared.Queue> => made;
export const subscription = (made: MadeSubscription): Members<declared.Subscription> => made;

export async function use(): Promise<number> {
  const posthorn = new declared.Posthorn({ url: "http://127.0.0.1:8080", tenant: "acme", getToken: async () => "token" });
  const one: declared.Published = await posthorn.publish({ type: "order.paid", data: { total: "10.00" } });
  const many: declared.Published[] = await posthorn.publish([{ type: "order.paid" }]);
  posthorn.addEventListener("state", (e) => console.log(e.detail.state));
  const sub = posthorn.subscribe<{ total: string }>({ start: one.version, types: ["order.*"] }, async (event) => {
    console.log(event.data?.total);
  });
  await sub.ready;
  for await (const event of posthorn.subscribe<number>({ window: 10 })) {
    const data: number | undefined = event.data;
    console.log(data);
  }
  const work = posthorn.queue<string>("work");
  const leases = await work.lease({ max: 10, wait: "20s" });
  await work.ack(leases);
  // @ts-expect-error: there is no such transport
  posthorn.subscribe({ transports: ["pigeon"] });
  return many.length;
}
