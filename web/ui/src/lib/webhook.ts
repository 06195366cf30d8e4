// What senders of webhooks say in headers: pure.
const says = /^(x-(?:[\w-]+-)?(?:event|topic)(?:-(?:key|type|name))?|ce-type|sentry-hook-resource|aeg-event-type)$/i;

/** The event that a request is about, as its sender names it in a header (X-GitHub-Event, X-Shopify-Topic, ce-type …); "" when none does. */
export function eventName(headers: readonly { name: string; value: string }[] | null | undefined): string {
  return headers?.find((h) => says.test(h.name) && h.value.length <= 80)?.value ?? "";
}
