package receiver

func init() {
	header := map[string]string{
		"X-Goog-Channel-Id": "4ba78bf0", "X-Goog-Message-Number": "10", "X-Goog-Resource-Id": "ret08u3rv24htgh289g", "X-Goog-Resource-State": "exists",
		"X-Goog-Resource-Uri": "https://www.googleapis.com/calendar/v3/calendars/x/events",
	}
	addCase(testCase{
		provider: "googlechannel", header: header, sign: signToken, unsigned: true, proof: []string{"X-Goog-Channel-Token"},
		want: Delivery{Type: "exists", ID: "4ba78bf0-10", Subject: "ret08u3rv24htgh289g"},
	})
	sync := handshakeCase{
		provider: "googlechannel", name: "sync", secrets: []string{secretOne}, sign: signToken, header: map[string]string{"X-Goog-Resource-State": "sync"},
	}
	wrong, missing, none := sync, sync, sync
	wrong.name, wrong.header, wrong.sign, wrong.err = "wrong token", map[string]string{"X-Goog-Resource-State": "sync", "X-Goog-Channel-Token": "x"}, nil, ErrSignature
	missing.name, missing.sign, missing.err = "no token", nil, ErrMissing
	none.name, none.header, none.none = "event", header, true
	addHandshake(sync, wrong, missing, none)
}
