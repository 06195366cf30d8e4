package receiver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Namespaces of Salesforce's outbound messages.
const (
	soapSpace     = "http://schemas.xmlsoap.org/soap/envelope/"
	outboundSpace = "http://soap.sforce.com/2005/09/outbound"
	schemaSpace   = "http://www.w3.org/2001/XMLSchema-instance"
)

const (
	maxXMLDepth      = 32
	maxNotifications = 100 // in one message, Salesforce's own limit
)

// outbound is a Salesforce outbound message.
type outbound struct {
	organization, action string
	notifications        []notification
}

// notification is one record of an outbound message.
type notification struct {
	id     string // of the notification: the same when it is sent again
	object string // the record's type, such as Account
	record string // the record's id
}

var errSOAP = errors.New("the body is no SOAP 1.1 envelope with Salesforce notifications")

// parseOutbound reads an outbound message. It has no document type, no entities but XML's own and is nested 32 deep at most.
func parseOutbound(body []byte) (outbound, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	p := outboundParser{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// The decoder's own text quotes the document.
			return outbound{}, errSOAP
		}
		switch t := token.(type) {
		case xml.Directive:
			return outbound{}, errors.New("the body has a document type")
		case xml.StartElement:
			err = p.start(t)
		case xml.EndElement:
			p.end()
		case xml.CharData:
			p.text(t)
		}
		if err != nil {
			return outbound{}, err
		}
	}
	if !p.done {
		return outbound{}, errSOAP
	}
	return p.message, nil
}

// outboundParser follows the path of elements. Only what is at its place counts: an OrganizationId inside a record is data.
type outboundParser struct {
	path    []xml.Name
	message outbound
	done    bool
	chars   strings.Builder
	seen    map[string]bool
}

// soapPath is where the notifications are.
var soapPath = [3]xml.Name{
	{Space: soapSpace, Local: "Envelope"}, {Space: soapSpace, Local: "Body"}, {Space: outboundSpace, Local: "notifications"},
}

func (p *outboundParser) start(t xml.StartElement) error {
	if len(p.path) == maxXMLDepth {
		return errors.New("the body is nested too deep")
	}
	p.path = append(p.path, t.Name)
	p.chars.Reset()
	switch n := len(p.path); {
	case n == 1 && t.Name != soapPath[0]:
		return errSOAP
	case n == 3 && p.path[1] == soapPath[1]:
		if t.Name != soapPath[2] || p.done {
			return errSOAP
		}
		p.done = true
	case p.at("Notification"):
		if len(p.message.notifications) == maxNotifications {
			return errSOAP
		}
		p.message.notifications = append(p.message.notifications, notification{})
	case p.at("Notification", "sObject"):
		for _, a := range t.Attr {
			if a.Name.Space == schemaSpace && a.Name.Local == "type" {
				_, object, found := strings.Cut(a.Value, ":")
				if !found {
					object = a.Value
				}
				p.last().object = object
			}
		}
	case p.at("OrganizationId") || p.at("ActionId"):
		// A second one would leave open which of them is meant.
		if p.seen[t.Name.Local] {
			return errSOAP
		}
		if p.seen == nil {
			p.seen = map[string]bool{}
		}
		p.seen[t.Name.Local] = true
	}
	return nil
}

// at says whether the parser is in an element below notifications.
func (p *outboundParser) at(local ...string) bool {
	if len(p.path) != 3+len(local) || p.path[1] != soapPath[1] || p.path[2] != soapPath[2] {
		return false
	}
	for i, name := range local {
		if p.path[3+i].Local != name {
			return false
		}
	}
	return p.path[3].Space == outboundSpace
}

func (p *outboundParser) last() *notification {
	return &p.message.notifications[len(p.message.notifications)-1]
}

func (p *outboundParser) text(t xml.CharData) {
	// Only short texts are looked at; the longest is a notification's id.
	if p.chars.Len() < 256 {
		p.chars.Write(t[:min(len(t), 256)])
	}
}

func (p *outboundParser) end() {
	text := strings.TrimSpace(p.chars.String())
	switch {
	case p.at("OrganizationId"):
		p.message.organization = text
	case p.at("ActionId"):
		p.message.action = text
	case p.at("Notification", "Id"):
		p.last().id = text
	case p.at("Notification", "sObject", "Id"):
		p.last().record = text
	}
	p.path = p.path[:len(p.path)-1]
	p.chars.Reset()
}

// soapAck is the answer to an outbound message that was taken.
const soapAck = xml.Header +
	`<soapenv:Envelope xmlns:soapenv="` + soapSpace + `"><soapenv:Body><notificationsResponse xmlns="` + outboundSpace +
	`"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>`

// soapFault is the answer to one that was not.
func soapFault(reason string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(reason)) // A buffer takes everything.
	return xml.Header +
		`<soapenv:Envelope xmlns:soapenv="` + soapSpace + `"><soapenv:Body><soapenv:Fault><faultcode>soapenv:Client</faultcode><faultstring>` +
		b.String() + `</faultstring></soapenv:Fault></soapenv:Body></soapenv:Envelope>`
}
