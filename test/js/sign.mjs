// Webhooks signed by the SDKs of those who send them: node sign.mjs <base URL> <Unix seconds>
//
// It prints one JSON array: {provider, secret, settings, path, method, headers, body (base64), signature (the header that carries
// it), timed (the time is part of what is signed)}. Where an SDK can only verify, the request is signed here and shown to the SDK,
// which must take it, and must not take it changed.
import assert from 'node:assert/strict'
import {createHmac, generateKeyPairSync, randomBytes, sign as signData} from 'node:crypto'
import {messagingApi, validateSignature} from '@line/bot-sdk'
import {sign as octokit} from '@octokit/webhooks-methods'
import {EventWebhook} from '@sendgrid/eventwebhook'
import bolt from '@slack/bolt/dist/receivers/verify-request.js'
import {verifyKey} from 'discord-interactions'
import Pusher from 'pusher'
import Razorpay from 'razorpay'
import {WebhooksHelper} from 'square'
import {Webhook as Standard} from 'standardwebhooks'
import Stripe from 'stripe'
import {Webhook as Svix} from 'svix'
import twilio from 'twilio'

const [base, seconds] = [process.argv[2], Number(process.argv[3])]
const when = new Date(seconds * 1000)
const json = {'content-type': 'application/json'}
const key = () => randomBytes(24).toString('hex')
const hmac = (secret, text, encoding) => createHmac('sha256', secret).update(text).digest(encoding)

/** An SDK's verifier must take what is right, and nothing else. */
async function judged(body, verify) {
	assert.equal(await verify(body), true, 'the SDK refuses what is right')
	const bytes = Buffer.from(body)
	bytes[bytes.length >> 1] ^= 1
	assert.equal(await verify(bytes.toString()), false, 'the SDK takes what was changed')
}

const makers = {
	async github() {
		const secret = key()
		const body = JSON.stringify({ref: 'refs/heads/main', repository: {full_name: 'octo/žluť'}, commits: [{id: '1', message: 'a  "b"'}]})
		return {secret, body, signature: 'x-hub-signature-256', headers: {
			...json, 'x-github-event': 'push', 'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958', 'x-hub-signature-256': await octokit(secret, body),
		}}
	},
	async stripe() {
		const secret = 'whsec_' + key()
		const body = JSON.stringify({id: 'evt_1', object: 'event', type: 'checkout.session.completed', data: {object: {id: 'cs_1', amount: 12345678901234567890n.toString()}}}, null, 2)
		const header = Stripe.webhooks.generateTestHeaderString({payload: body, secret, timestamp: seconds})
		return {secret, body, timed: true, signature: 'stripe-signature', headers: {...json, 'stripe-signature': header}}
	},
	async twilio() {
		const secret = key()
		const params = {MessageSid: 'SM123', MessageStatus: 'delivered', To: '+420 123', From: '+1 (415)', Body: 'á & b=c', AccountSid: 'AC1'}
		const url = base + '/twilio?part=1'
		return {secret, path: '?part=1', body: new URLSearchParams(params).toString(), signature: 'x-twilio-signature', headers: {
			'content-type': 'application/x-www-form-urlencoded; charset=UTF-8', 'x-twilio-signature': twilio.getExpectedTwilioSignature(secret, url, params),
		}}
	},
	async slack() {
		const secret = key()
		const body = JSON.stringify({type: 'event_callback', event_id: 'Ev1', team_id: 'T1', event: {type: 'message', text: '<b>hi</b>', channel: 'C1'}})
		const headers = {...json, 'x-slack-request-timestamp': String(seconds), 'x-slack-signature': 'v0=' + hmac(secret, `v0:${seconds}:${body}`, 'hex')}
		const ask = (body) => bolt.isValidSlackRequest({signingSecret: secret, body, headers, nowMilliseconds: when.getTime(), requestTimestampMaxDeltaMin: 5})
		await judged(body, ask)
		return {secret, body, timed: true, signature: 'x-slack-signature', headers}
	},
	async standard() {
		const secret = 'whsec_' + randomBytes(32).toString('base64')
		const body = JSON.stringify({type: 'user.created', timestamp: when.toISOString(), data: {id: 7}})
		return {secret, body, timed: true, signature: 'webhook-signature', headers: {
			...json, 'webhook-id': 'msg_1', 'webhook-timestamp': String(seconds), 'webhook-signature': new Standard(secret).sign('msg_1', when, body),
		}}
	},
	async svix() {
		const secret = 'whsec_' + randomBytes(24).toString('base64')
		const body = JSON.stringify({type: 'invoice.paid', data: {id: 8}})
		return {secret, body, timed: true, signature: 'svix-signature', headers: {
			...json, 'svix-id': 'msg_2', 'svix-timestamp': String(seconds), 'svix-signature': new Svix(secret).sign('msg_2', when, body),
		}}
	},
	async line() {
		assert.ok(messagingApi)
		const secret = key()
		const body = JSON.stringify({destination: 'U1', events: [{type: 'message', webhookEventId: '01H', timestamp: when.getTime(), source: {type: 'user', userId: 'U2'}}]})
		const signature = hmac(secret, body, 'base64')
		await judged(body, (body) => validateSignature(body, secret, signature))
		return {secret, body, signature: 'x-line-signature', headers: {...json, 'x-line-signature': signature}}
	},
	async square() {
		const secret = key()
		const url = base + '/square'
		const body = JSON.stringify({merchant_id: 'M1', type: 'payment.updated', event_id: 'e-1', created_at: when.toISOString(), data: {type: 'payment', id: 'p1'}})
		const signature = hmac(secret, url + body, 'base64')
		await judged(body, (requestBody) => WebhooksHelper.verifySignature({requestBody, signatureHeader: signature, signatureKey: secret, notificationUrl: url}))
		return {secret, body, signature: 'x-square-hmacsha256-signature', headers: {...json, 'x-square-hmacsha256-signature': signature}}
	},
	async pusher() {
		const [id, secret] = ['key' + key(), key()]
		const sdk = new Pusher({appId: '1', key: id, secret, cluster: 'eu'})
		const body = JSON.stringify({time_ms: when.getTime(), events: [{name: 'channel_occupied', channel: 'test'}]})
		const headers = {...json, 'x-pusher-key': id, 'x-pusher-signature': hmac(secret, body, 'hex')}
		await judged(body, (rawBody) => sdk.webhook({rawBody, headers}).isValid())
		return {secret, settings: {key: id}, body, signature: 'x-pusher-signature', headers}
	},
	async sendgrid() {
		const {publicKey, privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
		const secret = publicKey.export({type: 'spki', format: 'der'}).toString('base64')
		const body = JSON.stringify([{email: 'a@example.com', event: 'delivered', sg_event_id: 'e1', timestamp: seconds}]) + '\r\n'
		const signature = signData('sha256', Buffer.from(seconds + body), privateKey).toString('base64')
		const sdk = new EventWebhook()
		const pem = sdk.convertPublicKeyToECDSA(secret)
		await judged(body, (body) => sdk.verifySignature(pem, body, signature, String(seconds)))
		return {secret, body, timed: true, signature: 'x-twilio-email-event-webhook-signature', headers: {
			...json, 'x-twilio-email-event-webhook-signature': signature, 'x-twilio-email-event-webhook-timestamp': String(seconds),
		}}
	},
	async discord() {
		const {publicKey, privateKey} = generateKeyPairSync('ed25519')
		const secret = Buffer.from(publicKey.export({format: 'jwk'}).x, 'base64url').toString('hex')
		const body = JSON.stringify({id: '11', type: 2, application_id: '22', data: {name: 'blep'}})
		const signature = signData(null, Buffer.from(seconds + body), privateKey).toString('hex')
		await judged(body, (body) => verifyKey(body, signature, String(seconds), secret))
		return {secret, body, timed: true, signature: 'x-signature-ed25519', headers: {...json, 'x-signature-ed25519': signature, 'x-signature-timestamp': String(seconds)}}
	},
	async razorpay() {
		const secret = key()
		const body = JSON.stringify({entity: 'event', event: 'payment.captured', payload: {payment: {entity: {id: 'pay_1'}}}})
		const signature = hmac(secret, body, 'hex')
		await judged(body, (body) => Razorpay.validateWebhookSignature(body, signature, secret))
		return {secret, body, signature: 'x-razorpay-signature', headers: {...json, 'x-razorpay-event-id': 'rzp_1', 'x-razorpay-signature': signature}}
	},
}

const list = []
for (const [provider, make] of Object.entries(makers)) {
	const r = await make()
	list.push({provider, settings: {}, path: '', method: 'POST', timed: false, ...r, body: Buffer.from(r.body).toString('base64')})
}
console.log(JSON.stringify(list))
