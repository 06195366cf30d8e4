// An OpenID Connect provider with three users, for the tests of signing in: node oidc.mjs REDIRECT-URI prints its issuer and serves
// until its input ends. It tells groups at the user-info endpoint only, as the specification has it; with GROUPS_IN=id_token in the token, too.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const users = {
  olga: { name: "Olga Ops", email: "olga@example.com", groups: ["ops", "everybody"] },
  adam: { name: "Adam Acme", email: "adam@example.com", groups: ["acme-team", "everybody"] },
  nora: { name: "Nora Nobody", email: "nora@example.com", groups: ["everybody"] },
};

const server = createServer().listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const signing = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const provider = new Provider(issuer, {
  clients: [{ client_id: "posthorn", client_secret: "posthorn-client-secret", redirect_uris: [process.argv[2]],
    backchannel_logout_uri: new URL("/ui/login/oidc/logout", process.argv[2]).href, backchannel_logout_session_required: true,
    post_logout_redirect_uris: [new URL("/ui/login", process.argv[2]).href] }],
  claims: { openid: ["sub"], profile: ["name"], email: ["email"], groups: ["groups"] },
  scopes: ["openid", "profile", "email", "groups"],
  conformIdTokenClaims: process.env.GROUPS_IN !== "id_token",
  cookies: { keys: [randomBytes(16).toString("hex")] },
  jwks: { keys: [{ ...signing, use: "sig", alg: "RS256", kid: "test" }] },
  features: {
    devInteractions: { enabled: false }, backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      logoutSource: (ctx, form) => { ctx.body = `<!doctype html><html lang="en"><title>Log out?</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes</button></html>`; },
      postLogoutSuccessSource: (ctx) => { ctx.body = '<!doctype html><html lang="en"><title>Out</title><h1>Out</h1></html>'; },
    },
  },
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options), // its own refuses the addresses of this machine
  interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 3600, IdToken: 300, Interaction: 600, Session: 3600 },
  findAccount: (_, id) => users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id] }) },
  // Nobody is asked to consent.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile email groups");
    await grant.save();
    return grant;
  },
});

/** A page with a button for each user, and one to refuse. */
function page(uid) {
  const buttons = [...Object.keys(users), "nobody"].map((id) => `<button name="user" value="${id}">${users[id]?.name ?? "Refuse"}</button>`);
  return `<!doctype html><html lang="en"><title>Who are you?</title><form method="post" action="/login/${uid}">${buttons.join(" ")}</form></html>`;
}

const serve = provider.callback();
server.on("request", async (req, res) => {
  const uid = /^\/login\/([\w-]+)$/.exec(req.url)?.[1];
  if (!uid) return serve(req, res);
  if (req.method === "GET") return res.setHeader("Content-Type", "text/html").end(page(uid));
  let body = "";
  for await (const part of req) body += part;
  const user = new URLSearchParams(body).get("user");
  const result = users[user] ? { login: { accountId: user } } : { error: "access_denied", error_description: "the user refused" };
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
});

console.log(issuer);
process.stdin.resume().once("end", () => process.exit(0));
