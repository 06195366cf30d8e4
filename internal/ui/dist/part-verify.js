import{Ct as e,Gn as t,Hn as n,Jn as r,Qn as i,R as a,Un as o,_r as s,cr as c,fr as l,gr as u,hr as d,lr as f,or as p,pr as m,rr as h,sn as g,tr as _,tt as v,ur as y}from"./index.js";var b=e=>`# Receives, verifies and prints on this computer:
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
    return any(hmac.compare_digest(want, s) for s in headers["webhook-signature"].split())`;function w(e,t){let n=[{key:`shell`,label:`Terminal`,text:b(e)},{key:`go`,label:`Go`,text:x},{key:`js`,label:`JavaScript`,text:S},{key:`python`,label:`Python`,text:C}];return t?n.slice(0,2):n}var T=t(`<div class="stack-2"><!> <p class="small muted"> <!></p></div>`);function E(t,b){m(b,!0);let x=y(()=>w(b.secret,b.v1a)),S=f(`shell`);var C=T(),E=h(C);{let t=(t,n=s)=>{{let r=y(()=>i(x).find(e=>e.key===n())?.text??``),a=y(()=>n()===`shell`?`shell`:`text`);e(t,{get text(){return i(r)},get language(){return i(a)},lines:16})}},n=y(()=>g(`endpoints.verify.language`)),r=y(()=>i(x).map(({key:e,label:t})=>({key:e,label:t})));a(E,{get label(){return i(n)},get tabs(){return i(r)},get selected(){return i(S)},set selected(e){c(S,e,!0)},children:t,$$slots:{default:!0}})}var D=p(E,2),O=h(D),k=p(O);v(k,{external:!0,href:`https://github.com/posthornhq/posthorn/blob/main/docs/guides/receiving-webhooks.md`,children:(e,t)=>{d();var i=r();_(e=>n(i,e),[()=>g(`endpoints.verify.docs`)]),o(e,i)},$$slots:{default:!0}}),u(D),u(C),_(e=>n(O,`${e??``} `),[()=>g(`endpoints.verify.more`)]),o(t,C),l()}export{E as t};