import{B as e,Bn as t,C as n,Ln as r,Qn as i,Rn as a,Un as o,Xn as s,ar as c,cr as l,dr as u,fr as d,ir as f,nn as p,qn as m,rr as h,sr as g,tr as _,ur as v,xt as y}from"./index.js";var b=e=>`# Receives, verifies and prints on this computer:
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
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;function w(e,t){let n=[{key:`shell`,label:`Terminal`,text:b(e)},{key:`go`,label:`Go`,text:x},{key:`js`,label:`JavaScript`,text:S},{key:`python`,label:`Python`,text:C}];return t?n.slice(0,2):n}var T=t(`<div class="stack-2"><!> <p class="small muted"> <!></p></div>`);function E(t,b){l(b,!0);let x=c(()=>w(b.secret,b.v1a)),S=f(`shell`);var C=T(),E=i(C);{let e=(e,t=d)=>{{let n=c(()=>m(x).find(e=>e.key===t())?.text??``),r=c(()=>t()===`shell`?`shell`:`text`);y(e,{get text(){return m(n)},get language(){return m(r)},lines:16})}},t=c(()=>p(`endpoints.verify.language`)),r=c(()=>m(x).map(({key:e,label:t})=>({key:e,label:t})));n(E,{get label(){return m(t)},get tabs(){return m(r)},get selected(){return m(S)},set selected(e){h(S,e,!0)},children:e,$$slots:{default:!0}})}var D=_(E,2),O=i(D),k=_(O);e(k,{external:!0,href:`https://github.com/posthornhq/posthorn/blob/main/docs/guides/receiving-webhooks.md`,children:(e,t)=>{v();var n=o();s(e=>r(n,e),[()=>p(`endpoints.verify.docs`)]),a(e,n)},$$slots:{default:!0}}),u(D),u(C),s(e=>r(O,`${e??``} `),[()=>p(`endpoints.verify.more`)]),a(t,C),g()}export{E as t};