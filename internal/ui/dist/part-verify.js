import{$n as e,F as t,Fn as n,Gn as r,In as i,Jn as a,Q as o,Rn as s,Vn as c,Xn as l,ar as u,bt as d,cr as f,lr as p,nr as m,or as h,rr as g,sr as _,tn as v,tr as y}from"./index.js";var b=e=>`# Receives, verifies and prints on this computer:
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
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;function w(e,t){let n=[{key:`shell`,label:`Terminal`,text:b(e)},{key:`go`,label:`Go`,text:x},{key:`js`,label:`JavaScript`,text:S},{key:`python`,label:`Python`,text:C}];return t?n.slice(0,2):n}var T=s(`<div class="stack-2"><!> <p class="small muted"> <!></p></div>`);function E(s,b){h(b,!0);let x=g(()=>w(b.secret,b.v1a)),S=m(`shell`);var C=T(),E=l(C);{let e=(e,t=p)=>{{let n=g(()=>r(x).find(e=>e.key===t())?.text??``),i=g(()=>t()===`shell`?`shell`:`text`);d(e,{get text(){return r(n)},get language(){return r(i)},lines:16})}},n=g(()=>v(`endpoints.verify.language`)),i=g(()=>r(x).map(({key:e,label:t})=>({key:e,label:t})));t(E,{get label(){return r(n)},get tabs(){return r(i)},get selected(){return r(S)},set selected(e){y(S,e,!0)},children:e,$$slots:{default:!0}})}var D=e(E,2),O=l(D),k=e(O);o(k,{external:!0,href:`https://github.com/posthornhq/posthorn/blob/main/docs/guides/receiving-webhooks.md`,children:(e,t)=>{_();var r=c();a(e=>n(r,e),[()=>v(`endpoints.verify.docs`)]),i(e,r)},$$slots:{default:!0}}),f(D),f(C),a(e=>n(O,`${e??``} `),[()=>v(`endpoints.verify.more`)]),i(s,C),u()}export{E as t};