// Which tone a state of the API has, in one place for all pages.
import type { IconName } from "./icons";

export type Tone = "ok" | "warn" | "bad" | "idle" | "info" | "plain";

export interface StateLook {
  tone: Tone;
  icon: IconName;
}

/** States by the server's own words: lanes, waiting reasons, verdicts, delivery and replay states, audit outcomes. Their texts are common.state.<word>. */
export const states = {
  // lanes
  live: { tone: "ok", icon: "check" },
  backlog: { tone: "warn", icon: "queues" },
  waiting: { tone: "warn", icon: "clock" },
  idle: { tone: "idle", icon: "dot" },
  disabled: { tone: "idle", icon: "stop" },
  // why a lane waits
  penalty: { tone: "warn", icon: "clock" },
  paused: { tone: "idle", icon: "pause" },
  failing: { tone: "bad", icon: "x" },
  offline: { tone: "idle", icon: "dot" },
  retries: { tone: "warn", icon: "retry" },
  changelog: { tone: "warn", icon: "clock" },
  dead_letters: { tone: "bad", icon: "x" },
  // verdicts and deliveries
  delivered: { tone: "ok", icon: "check" },
  retry: { tone: "warn", icon: "retry" },
  retrying: { tone: "warn", icon: "retry" },
  pending: { tone: "info", icon: "clock" },
  failed: { tone: "bad", icon: "x" },
  gone: { tone: "bad", icon: "stop" },
  none: { tone: "idle", icon: "dot" },
  // streams
  connecting: { tone: "info", icon: "clock" },
  connected: { tone: "ok", icon: "check" },
  // replays, audit
  running: { tone: "info", icon: "play" },
  done: { tone: "ok", icon: "check" },
  cancelled: { tone: "idle", icon: "stop" },
  refused: { tone: "bad", icon: "x" },
  unknown: { tone: "warn", icon: "warn" },
} as const satisfies Record<string, StateLook>;

export type StateWord = keyof typeof states;

/** The look of any word of the server; an unknown one is idle. */
export function look(word: string): StateLook {
  return Object.hasOwn(states, word) ? states[word as StateWord] : { tone: "idle", icon: "dot" };
}

/** The tone of an HTTP status; 0 is no answer at all. */
export function statusTone(status: number | undefined): Tone {
  if (!status) return "bad";
  if (status < 300) return "ok";
  if (status < 500) return "warn";
  return "bad";
}
