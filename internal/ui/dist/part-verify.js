import{$n as e,$t as t,In as n,Jn as r,Kn as i,N as a,Nn as o,Pn as s,Un as c,X as l,Zn as u,ar as d,er as f,ir as p,or as m,rr as h,sr as g,tr as _,vt as v,zn as y}from"./index.js";var b=e=>`# Receives, verifies and prints on this computer:
posthorn sink --listen 127.0.0.1:9000 --strict --secret '${e}'`,x=`import "github.com/posthornhq/posthorn/webhook"

key, err := webhook.ParseKey(os.Getenv("WEBHOOK_SECRET"))
// …
verifier, err := webhook.NewVerifier(key)
// …
http.Handle("POST /webhooks", verifier.Handler(1<<20, handler)) // handler sees genuine requests only`,S=`import { createHmac, timingSafeEqual } from "node:crypto";
const key = Buffer.from(process.env.WEBHOOK_SECRET.slice("whsec_".length), "base64");

export function verified(headers, body) { // body: the bytes as they came
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures } = headers;
  if (!id || !signatures || !(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) return false;
  const want = createHmac("sha256", key).update(\`\${id}.\${time}.\`).update(body).digest();
  return signatures.split(" ").some((s) => {
    const got = Buffer.from(s.slice(3), "base64");
    return s.startsWith("v1,") && got.length === want.length && timingSafeEqual(got, want);
  });
}`,C=`import base64, hashlib, hmac, os, time
key = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))

def verified(headers, body):  # body: the bytes as they came
    id, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300:
        return False
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256)
    want = "v1," + base64.b64encode(mac.digest()).decode()
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;function w(e,t){let n=[{key:`shell`,label:`Terminal`,text:b(e)},{key:`go`,label:`Go`,text:x},{key:`js`,label:`JavaScript`,text:S},{key:`python`,label:`Python`,text:C}];return t?n.slice(0,2):n}var T=n(`<div class="stack-2"><!> <p class="small muted"> <!></p></div>`);function E(n,b){p(b,!0);let x=_(()=>w(b.secret,b.v1a)),S=f(`shell`);var C=T(),E=r(C);{let n=(e,t=g)=>{{let n=_(()=>c(x).find(e=>e.key===t())?.text??``),r=_(()=>t()===`shell`?`shell`:`text`);v(e,{get text(){return c(n)},get language(){return c(r)},lines:16})}},r=_(()=>t(`endpoints.verify.language`)),i=_(()=>c(x).map(({key:e,label:t})=>({key:e,label:t})));a(E,{get label(){return c(r)},get tabs(){return c(i)},get selected(){return c(S)},set selected(t){e(S,t,!0)},children:n,$$slots:{default:!0}})}var D=u(E,2),O=r(D),k=u(O);l(k,{external:!0,href:`https://github.com/posthornhq/posthorn/blob/main/docs/guides/receiving-webhooks.md`,children:(e,n)=>{d();var r=y();i(e=>o(r,e),[()=>t(`endpoints.verify.docs`)]),s(e,r)},$$slots:{default:!0}}),m(D),m(C),i(e=>o(O,`${e??``} `),[()=>t(`endpoints.verify.more`)]),s(n,C),h()}export{E as t};