package event

import "time"

// StreamView shows a live connection.
type StreamView struct {
	// ID is the connection's, never given again. Its public form is [FormatStreamID].
	ID   int64
	Kind string // "websocket", "sse" or "poll"
	// Address is the client's, empty when it is not known.
	Address   string
	UserAgent string
	By        *APIKey
	Since     time.Time
	// Version is the last one that was sent or passed over, Head the log's last; both 0 while nothing is subscribed to.
	Version, Head int64
	// Sent counts events.
	Sent int64
	// Subscriptions counts those of a WebSocket; other kinds have one. Selection is the first one's.
	Subscriptions int
	Selection     Selection
}

// FormatStreamID returns the public form of a live connection's id, "str_" and 13 characters.
func FormatStreamID(n int64) string { return encodeID("str_", n) }

// ParseStreamID reads the public form of a live connection's id.
func ParseStreamID(s string) (int64, bool) { return decodeID("str_", s) }
