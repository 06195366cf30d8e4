package receiver

import (
	"mime"
	"net/http"
)

func init() {
	p := provider{
		Info: Info{
			Name: "salesforce", Title: "Salesforce outbound messages",
			Secret: "the organisation's id (15 or 18 characters). It is not secret: allow only Salesforce's addresses, or give the receiver's address a secret part",
			Event:  "type from the record's type, id from the notification's id, subject is the record's id; records that differ are of the type batch",
		},
		verify: verifySalesforce,
		describe: func(r *request) Delivery {
			return describeOutbound(r, func(_ outbound, n notification) string { return n.object })
		},
		accepted: func(Delivery) Answer { return soapAnswer(http.StatusOK, soapAck) },
		refused:  refuseSalesforce,
	}
	register(p)
	p.Name, p.Title = "sfsoap", "Salesforce outbound messages, as the ASP.NET receiver names them"
	p.Event = "type from ActionId, id from the notification's id, subject is the record's id"
	p.describe = func(r *request) Delivery {
		return describeOutbound(r, func(m outbound, _ notification) string { return m.action })
	}
	register(p)
}

// organizationID is how long the part of an id is that counts; what follows are digits to check it.
const organizationID = 15

func verifySalesforce(r *request) error {
	if kind, _, err := mime.ParseMediaType(r.http.Header.Get("Content-Type")); err != nil || kind != "text/xml" && kind != "application/xml" {
		return &Error{Code: CodeMalformed, Detail: "the media type is not XML", Status: http.StatusUnsupportedMediaType}
	}
	// As it arrived: Salesforce packs nothing, and a small packet of XML can take a great deal of memory.
	message, err := parseOutbound(r.body)
	if err != nil {
		return failWith(CodeMalformed, "the body is not an outbound message", err)
	}
	if !isOrganization(message.organization) {
		return fail(CodeMissing, "OrganizationId is missing or not an id")
	}
	readable := false
	if err := r.anySecret(func(secret string) bool {
		if !isOrganization(secret) {
			return false
		}
		readable = true
		return same(message.organization[:organizationID], secret[:organizationID])
	}); err != nil {
		if !readable && len(r.secrets) > 0 {
			return fail(CodeWrongSecret, "the secret is not an organisation's id of 15 or 18 characters")
		}
		return err
	}
	if len(message.notifications) == 0 {
		return fail(CodeMissing, "there is no notification")
	}
	return nil
}

func isOrganization(id string) bool {
	if len(id) != organizationID && len(id) != 18 {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func describeOutbound(r *request, typ func(outbound, notification) string) Delivery {
	message, err := parseOutbound(r.body)
	if err != nil {
		return Delivery{}
	}
	var d Delivery
	ids := make([]string, len(message.notifications))
	for i, n := range message.notifications {
		ids[i] = clean(n.id)
		t, s := clean(typ(message, n)), clean(n.record)
		switch {
		case i == 0:
			d.Type, d.Subject = t, s
		case t != d.Type:
			d.Type, d.Subject = batchType, ""
		case s != d.Subject:
			d.Subject = ""
		}
	}
	d.ID = batchID(ids)
	return d
}

// refuseSalesforce answers with a fault. What is wrong with the message is 400, as SOAP 1.1 has no statuses of its own.
func refuseSalesforce(e *Error) Answer {
	status := e.Status
	if status == 0 {
		status = statusOf(e.Code)
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		status = http.StatusBadRequest
	}
	return soapAnswer(status, soapFault(e.Code))
}

func soapAnswer(status int, body string) Answer {
	return Answer{Status: status, Body: []byte(body), Header: http.Header{
		"Content-Type": {"text/xml; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"},
	}}
}
