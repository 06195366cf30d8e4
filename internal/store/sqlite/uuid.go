package sqlite

import "encoding/hex"

// uuidLength is that of the canonical form: 8-4-4-4-12 hexadecimal digits.
const uuidLength = 36

// parseUUID reads the canonical, lower-case form only, so that [formatUUID] gives back the very same text.
func parseUUID(b *[16]byte, s string) bool {
	if len(s) != uuidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	at := 0
	for i := range b {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++
		}
		high, low := hexDigits[s[at]], hexDigits[s[at+1]]
		if high|low > 15 {
			return false
		}
		b[i] = high<<4 | low
		at += 2
	}
	return true
}

func formatUUID(b *[16]byte) string {
	var s [uuidLength]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// hexDigits gives the value of each lower-case hexadecimal digit, 255 for other bytes.
var hexDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()
