package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const mailgunToken = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"

func signMailgun(m *message, secret string, at time.Time) {
	sum := hex256(secret, unix(at), mailgunToken)
	signature := fmt.Sprintf(`{"timestamp":"%s","token":"%s","signature":"%s"}`, unix(at), mailgunToken, sum)
	m.body = []byte(strings.Replace(string(m.body), "SIGNATURE", signature, 1))
}

func init() {
	addCase(
		testCase{
			provider: "mailgun", body: `{"signature":SIGNATURE,"event-data":{"event":"opened","id":"CPgfbmQMTCKtHW6uIWtuVe","timestamp":1773500960.417,"message":{"headers":{"message-id":"m@x"}}}}`,
			sign: signMailgun, unsigned: true, tolerance: 5 * time.Minute, elsewhere: "TestMailgun",
			want: Delivery{Type: "opened", ID: "CPgfbmQMTCKtHW6uIWtuVe", Subject: "m@x", Time: time.UnixMilli(1773500960417).UTC()},
		},
		testCase{
			provider: "mailgun", name: "form", header: map[string]string{"Content-Type": formType}, unsigned: true, tolerance: 5 * time.Minute, elsewhere: "TestMailgun",
			sign: func(m *message, secret string, at time.Time) {
				m.body = []byte("event=delivered&token=t0k&timestamp=" + unix(at) + "&signature=" + hex256(secret, unix(at), "t0k"))
			},
			want: Delivery{Type: "delivered"},
		},
		testCase{ // A message that came in, with a file.
			provider: "mailgun", name: "multipart", header: map[string]string{"Content-Type": "multipart/form-data; boundary=XX"},
			unsigned: true, tolerance: 5 * time.Minute, elsewhere: "TestMailgun",
			sign: func(m *message, secret string, at time.Time) {
				m.body = nil
				for _, part := range [][2]string{
					{`name="timestamp"`, unix(at)},
					{`name="attachment"; filename="a.txt"`, "t0k"},
					{`name="token"`, "t0k"},
					{`name="signature"`, hex256(secret, unix(at), "t0k")},
					{`name="Message-Id"`, "<m@x>"},
				} {
					m.body = append(m.body, "--XX\r\nContent-Disposition: form-data; "+part[0]+"\r\n\r\n"+part[1]+"\r\n"...)
				}
				m.body = append(m.body, "--XX--\r\n"...)
			},
			want: Delivery{Subject: "<m@x>"},
		},
	)
}

func TestMailgun(t *testing.T) {
	c := testCase{provider: "mailgun", sign: signMailgun, body: `{"signature":SIGNATURE,"event-data":{"event":"opened"}}`}
	good := c.message(secretOne, now)
	for _, change := range [][2]string{
		{mailgunToken, "b" + mailgunToken[1:]},
		{unix(now), unix(now.Add(time.Second))},
		{`"token"`, `"t"`},
		{`"signature":{`, `"s":{`},
		{"{", "["},
	} {
		m := good
		m.body = []byte(strings.Replace(string(good.body), change[0], change[1], 1))
		c.refused(t, m, []string{secretOne}, now)
	}

	// The token is good for one body; the same request again is a repetition, not a forgery.
	seen := NewMemory(10)
	verify := func(m message) error {
		_, err := Verify("mailgun", []string{secretOne}, m.request(), m.body, At(func() time.Time { return now }), Once(seen))
		return err
	}
	for range 2 {
		if err := verify(good); err != nil {
			t.Fatal(err)
		}
	}
	forged := good
	forged.body = []byte(strings.Replace(string(good.body), "opened", "failed", 1))
	if err := verify(forged); !errors.Is(err, ErrReplayed) {
		t.Errorf("the token was taken with another body: %v", err)
	}
	if err := verify(good); err != nil {
		t.Errorf("after the forgery: %v", err)
	}
}

// lost is a Seen that cannot be reached.
type lost struct{}

func (lost) Seen(context.Context, string) (bool, error) { return false, errors.New("down") }
func (lost) Remember(context.Context, string) error     { return errors.New("down") }

func TestMailgunWithoutMemory(t *testing.T) {
	c := testCase{provider: "mailgun", sign: signMailgun, body: `{"signature":SIGNATURE}`}
	m := c.message(secretOne, now)
	_, err := Verify("mailgun", []string{secretOne}, m.request(), m.body, At(func() time.Time { return now }), Once(lost{}))
	if !errors.Is(err, ErrFetch) || Refused("mailgun", err).Status != http.StatusServiceUnavailable {
		t.Errorf("error %v; it has to be sent again", err)
	}
	// Without the option the process remembers.
	if _, err := Verify("mailgun", []string{secretOne}, m.request(), m.body, At(func() time.Time { return now })); err != nil {
		t.Error(err)
	}
}
