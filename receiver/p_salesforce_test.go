package receiver

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func outboundMessage(organization string, records ...string) string {
	text := `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>` + organization + `</OrganizationId>
   <ActionId>04kD0000000CaSWIA0</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://na12.salesforce.com/services/Soap/c/31.0/00D</EnterpriseUrl>
`
	for i, record := range records {
		text += fmt.Sprintf(`   <Notification>
    <Id>04lD00000%d</Id>
    <sObject xsi:type="sf:%s" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>00QD00000%d</sf:Id><sf:Name>R&amp;D <![CDATA[<x>]]></sf:Name><sf:OrganizationId>other</sf:OrganizationId></sObject>
   </Notification>
`, i, record, i)
	}
	return text + "  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>"
}

func init() {
	c := testCase{
		provider: "salesforce", secret: "00DD0000000aBcD", second: "00DD0000000aBcE", wrong: "00DD0000000abcd",
		header: map[string]string{"Content-Type": "text/xml; charset=utf-8", "Soapaction": `""`}, unsigned: true,
		sign:  func(m *message, secret string, _ time.Time) { m.body = []byte(outboundMessage(secret, "Lead")) },
		want:  Delivery{Type: "Lead", ID: "04lD000000", Subject: "00QD000000"},
		marks: []string{"00DD0000000aBcD", "soapenv:Body", "outbound", "<OrganizationId>", "</soapenv:Envelope>"},
	}
	several, action := c, c
	several.name = "several"
	several.sign = func(m *message, secret string, _ time.Time) {
		m.body = []byte(outboundMessage(secret, "Lead", "Account"))
	}
	several.want = Delivery{Type: "batch", ID: batchID([]string{"04lD000000", "04lD000001"})}
	action.provider = "sfsoap"
	action.want.Type = "04kD0000000CaSWIA0"
	addCase(c, several, action)
}

func salesforceRequest(body string) message {
	return testCase{header: map[string]string{"Content-Type": "text/xml"}, body: body}.message("", now)
}

func TestSalesforceIDsOfTwoLengths(t *testing.T) {
	c := testCase{provider: "salesforce"}
	for _, pair := range [][2]string{{"00DD0000000aBcD", "00DD0000000aBcDEAY"}, {"00DD0000000aBcDEAY", "00DD0000000aBcD"}, {"00DD0000000aBcDEAY", "00DD0000000aBcDEAY"}} {
		if _, err := c.verify(salesforceRequest(outboundMessage(pair[0], "Lead")), []string{pair[1]}, now); err != nil {
			t.Errorf("%v: %v", pair, err)
		}
	}
	for _, id := range []string{"00DD0000000aBc", "00DD0000000aBcDE", "", "00DD0000000aBc<", "00DD0000000aBcDEAYX"} {
		m := salesforceRequest(outboundMessage(strings.ReplaceAll(id, "<", "&lt;"), "Lead"))
		c.refused(t, m, []string{"00DD0000000aBcDEAY"}, now)
		if id != "" {
			c.refused(t, salesforceRequest(outboundMessage("00DD0000000aBcD", "Lead")), []string{id}, now, ErrWrongSecret)
		}
	}
}

func TestSalesforceBadXML(t *testing.T) {
	good := outboundMessage("00DD0000000aBcD", "Lead")
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>`
	nested := func(n int) string {
		return strings.Replace(good, "<sf:Name>", strings.Repeat("<a>", n)+strings.Repeat("</a>", n)+"<sf:Name>", 1)
	}
	if _, err := parseOutbound([]byte(nested(10))); err != nil {
		t.Errorf("ten deep: %v", err)
	}
	bodies := map[string]string{
		"entity bomb":       bomb + strings.Replace(good[38:], "00DD0000000aBcD", "&lol2;", 1),
		"document type":     `<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">` + good[39:],
		"external entity":   `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + strings.Replace(good[39:], "00DD0000000aBcD", "&e;", 1),
		"unknown entity":    strings.Replace(good, "00DD0000000aBcD", "&nbsp;", 1),
		"deep":              nested(100_000),
		"other root":        strings.ReplaceAll(good, "soapenv:Envelope", "soapenv:Other"),
		"SOAP 1.2":          strings.ReplaceAll(good, soapSpace, "http://www.w3.org/2003/05/soap-envelope"),
		"other namespace":   strings.ReplaceAll(good, outboundSpace, "urn:x"),
		"two organisations": strings.Replace(good, "<ActionId>", "<OrganizationId>00DD0000000aBcX</OrganizationId><ActionId>", 1),
		"an id in another body": strings.Replace(strings.Replace(good, "<OrganizationId>00DD0000000aBcD</OrganizationId>", "", 1), "<soapenv:Body>",
			`<x:Body xmlns:x="urn:x"><x:notifications><OrganizationId xmlns="`+outboundSpace+`">00DD0000000aBcD</OrganizationId></x:notifications></x:Body><soapenv:Body>`, 1),
		"two messages":         strings.Replace(good, " </soapenv:Body>", `<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00DD0000000aBcD</OrganizationId></notifications></soapenv:Body>`, 1),
		"none of ours":         strings.ReplaceAll(good, "OrganizationId", "OrgId"),
		"no notification":      outboundMessage("00DD0000000aBcD"),
		"too many":             outboundMessage("00DD0000000aBcD", make([]string, maxNotifications+1)...),
		"cut":                  good[:len(good)-30],
		"empty":                "",
		"JSON":                 `{"OrganizationId":"00DD0000000aBcD"}`,
		"another encoding":     strings.Replace(good, "UTF-8", "UTF-16", 1),
		"in the header":        strings.NewReplacer("<soapenv:Body>", "<soapenv:Header>", "</soapenv:Body>", "</soapenv:Header>").Replace(good),
		"id in a notification": strings.Replace(strings.Replace(good, "<OrganizationId>00DD0000000aBcD</OrganizationId>", "", 1), "<Notification>", "<Notification><OrganizationId>00DD0000000aBcD</OrganizationId>", 1),
	}
	c := testCase{provider: "salesforce"}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			m := salesforceRequest(body)
			c.refused(t, m, []string{"00DD0000000aBcD"}, now)
			_, err := c.verify(m, []string{"00DD0000000aBcD"}, now)
			answer := Refused("salesforce", err)
			if answer.Status != http.StatusBadRequest || !bytes.Contains(answer.Body, []byte("<faultcode>soapenv:Client</faultcode>")) {
				t.Errorf("answer %d %s", answer.Status, answer.Body)
			}
		})
	}
	t.Run("media type", func(t *testing.T) {
		m := salesforceRequest(good)
		m.header.Set("Content-Type", "application/json")
		_, err := c.verify(m, []string{"00DD0000000aBcD"}, now)
		if got := Refused("salesforce", err).Status; got != http.StatusUnsupportedMediaType {
			t.Errorf("status %d", got)
		}
	})
}

func TestSalesforceAck(t *testing.T) {
	a := Accepted("salesforce", Delivery{})
	if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/xml") ||
		!bytes.Contains(a.Body, []byte(`<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>`)) {
		t.Errorf("answer %d %v %s", a.Status, a.Header, a.Body)
	}
	if got := soapFault("a<b&c"); !strings.Contains(got, "a&lt;b&amp;c") {
		t.Errorf("fault %s", got)
	}
}

func FuzzOutbound(f *testing.F) {
	f.Add([]byte(outboundMessage("00DD0000000aBcD", "Lead", "Account")))
	f.Add([]byte(`<a b='&#x41;'><!-- c --><![CDATA[d]]></a>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseOutbound(body)
		if err != nil && (m.organization != "" || len(m.notifications) > 0) {
			t.Errorf("an error with a message: %+v", m)
		}
		if len(m.notifications) > maxNotifications {
			t.Errorf("%d notifications", len(m.notifications))
		}
	})
}
