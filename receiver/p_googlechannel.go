package receiver

import "net/http"

func init() {
	register(provider{
		Info: Info{
			Name: "googlechannel", Title: "Google Calendar, Drive and other channels", Aliases: []string{"google-channel"},
			Secret:        "the token of the channel",
			Event:         "type from X-Goog-Resource-State, id from the channel's id and the message's number, subject is the resource's id",
			SecretHeaders: []string{"X-Goog-Channel-Token"},
			Handshakes:    []string{"POST"},
		},
		verify: headerToken("X-Goog-Channel-Token"),
		describe: describe(head("X-Goog-Resource-State"), joined("-", head("X-Goog-Channel-Id"), head("X-Goog-Message-Number")),
			head("X-Goog-Resource-Id"), nil),
		// The first message of a channel says that it is there.
		handshake: func(r *request) (*Answer, *Learned, error) {
			if r.http.Header.Get("X-Goog-Resource-State") != "sync" {
				return nil, nil, nil
			}
			if err := headerToken("X-Goog-Channel-Token")(r); err != nil {
				return nil, nil, err
			}
			return &Answer{Status: http.StatusOK}, nil, nil
		},
	})
}
