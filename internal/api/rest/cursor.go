package rest

import (
	"encoding/base64"
	"strconv"
)

// maxCursor bounds a cursor, in bytes: a tenant's or an event type's name and some more.
const maxCursor = 600

// A cursor is the place where a list goes on, opaque to callers: the list's letter and the last key, in base 64.
// Anything that was not made by the same list is refused by name.
func encodeCursor(list byte, last string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{'1', list}, last...))
}

func decodeCursor(list byte, cursor string) (string, *problem) {
	if cursor == "" {
		return "", nil
	}
	if len(cursor) > maxCursor {
		return "", badCursor()
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 3 || raw[0] != '1' || raw[1] != list {
		return "", badCursor()
	}
	return string(raw[2:]), nil
}

func encodeNumberCursor(list byte, last int64) string {
	return encodeCursor(list, strconv.FormatInt(last, 36))
}

func decodeNumberCursor(list byte, cursor string) (int64, *problem) {
	s, p := decodeCursor(list, cursor)
	if p != nil || s == "" {
		return 0, p
	}
	n, err := strconv.ParseInt(s, 36, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 36) != s {
		return 0, badCursor()
	}
	return n, nil
}

func badCursor() *problem {
	return invalid("cursor", "must be the next of an earlier answer of the same list")
}

// The letters of the lists.
const (
	listTenants     = 't'
	listEndpoints   = 'e'
	listTypes       = 'y'
	listKeys        = 'k'
	listEvents      = 'v'
	listEventTries  = 'a'
	listTries       = 'b'
	listDeadLetters = 'd'
	listQueues      = 'q'
	listQueueDead   = 'x'
	listQueueLeases = 'h'
	listBins        = 'n'
	listSources     = 's'
	listDeliveries  = 'i'
	listAudit       = 'u'
	listSessions    = 'z'
	listStreams     = 'l'

	listCapturesNewest = 'r'
	listCapturesOldest = 'o'
)
