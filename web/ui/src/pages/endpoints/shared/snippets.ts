// How a receiver verifies what comes: short, whole, without other libraries where the language allows it. The secret is read from the environment.
export type SnippetLanguage = "shell" | "go" | "js" | "python";

const SHELL = (secret: string): string => `# Receives, verifies and prints on this computer:
posthorn sink --listen 127.0.0.1:9000 --strict --secret '${secret}'`;

const GO = `import "github.com/posthornhq/posthorn/webhook"

key, err := webhook.ParseKey(os.Getenv("WEBHOOK_SECRET"))
// …
verifier, err := webhook.NewVerifier(key)
// …
http.Handle("POST /webhooks", verifier.Handler(1<<20, handler)) // handler sees genuine requests only`;

const JS = `import { createHmac, timingSafeEqual } from "node:crypto";
const key = Buffer.from(process.env.WEBHOOK_SECRET.slice("whsec_".length), "base64");

export function verified(headers, body) { // body: the bytes as they came
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures } = headers;
  if (!id || !signatures || !(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) return false;
  const want = createHmac("sha256", key).update(\`\${id}.\${time}.\`).update(body).digest();
  return signatures.split(" ").some((s) => {
    const got = Buffer.from(s.slice(3), "base64");
    return s.startsWith("v1,") && got.length === want.length && timingSafeEqual(got, want);
  });
}`;

const PYTHON = `import base64, hashlib, hmac, os, time
key = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))

def verified(headers, body):  # body: the bytes as they came
    id, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300:
        return False
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256)
    want = "v1," + base64.b64encode(mac.digest()).decode()
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;

/** The snippets for a kind of signing: v1a has a public key, which the libraries of few languages know. */
export function snippets(secret: string, v1a: boolean): { key: SnippetLanguage; label: string; text: string }[] {
  const all: { key: SnippetLanguage; label: string; text: string }[] = [
    { key: "shell", label: "Terminal", text: SHELL(secret) },
    { key: "go", label: "Go", text: GO },
    { key: "js", label: "JavaScript", text: JS },
    { key: "python", label: "Python", text: PYTHON },
  ];
  return v1a ? all.slice(0, 2) : all;
}
