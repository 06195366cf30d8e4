import{Bn as e,Fn as t,Ln as n,P as r,Pn as i,Qn as a,Wn as o,Yn as s,Z as c,ar as l,cr as u,en as d,er as f,ir as p,nr as m,or as h,qn as g,sr as _,tr as v,yt as y}from"./index.js";var b=e=>`# Receives, verifies and prints on this computer:
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
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;function w(e,t){let n=[{key:`shell`,label:`Terminal`,text:b(e)},{key:`go`,label:`Go`,text:x},{key:`js`,label:`JavaScript`,text:S},{key:`python`,label:`Python`,text:C}];return t?n.slice(0,2):n}var T=n(`<div class="stack-2"><!> <p class="small muted"> <!></p></div>`);function E(n,b){l(b,!0);let x=m(()=>w(b.secret,b.v1a)),S=v(`shell`);var C=T(),E=s(C);{let e=(e,t=u)=>{{let n=m(()=>o(x).find(e=>e.key===t())?.text??``),r=m(()=>t()===`shell`?`shell`:`text`);y(e,{get text(){return o(n)},get language(){return o(r)},lines:16})}},t=m(()=>d(`endpoints.verify.language`)),n=m(()=>o(x).map(({key:e,label:t})=>({key:e,label:t})));r(E,{get label(){return o(t)},get tabs(){return o(n)},get selected(){return o(S)},set selected(e){f(S,e,!0)},children:e,$$slots:{default:!0}})}var D=a(E,2),O=s(D),k=a(O);c(k,{external:!0,href:`https://github.com/posthornhq/posthorn/blob/main/docs/guides/receiving-webhooks.md`,children:(n,r)=>{h();var a=e();g(e=>i(a,e),[()=>d(`endpoints.verify.docs`)]),t(n,a)},$$slots:{default:!0}}),_(D),_(C),g(e=>i(O,`${e??``} `),[()=>d(`endpoints.verify.more`)]),t(n,C),p()}export{E as t};