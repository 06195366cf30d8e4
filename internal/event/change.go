package event

import "strings"

// RecordChange is what an event says of one record of a business system: that it was created, updated or deleted. Such an
// event has the type "<evidence>.<operation>" and the subject "<evidence>/<id>". The words are FlexiBee's, where an
// evidence is a kind of records (https://www.flexibee.eu/api/dokumentace/ref/changes-api/).
type RecordChange struct {
	// Evidence is 1 to 256 of A-Z, a-z, 0-9, '-' and '_', beginning with a letter or '_', such as "faktura-vydana"; never
	// "next", which ends a list of changes in XML.
	Evidence string
	// Operation is "create", "update" or "delete".
	Operation string
	// ID is what follows the slash: not empty, and without another slash.
	ID string
}

// RecordChange returns the change of a record that the event tells of, and false when it does not tell of one.
func (e *Event) RecordChange() (RecordChange, bool) {
	evidence, operation, _ := strings.Cut(e.Type, ".")
	switch operation {
	case "create", "update", "delete":
	default:
		return RecordChange{}, false
	}
	id, ok := strings.CutPrefix(e.Subject, evidence)
	if !ok || len(id) < 2 || id[0] != '/' || strings.IndexByte(id[1:], '/') >= 0 || !IsEvidence(evidence) {
		return RecordChange{}, false
	}
	return RecordChange{Evidence: evidence, Operation: operation, ID: id[1:]}, true
}

// IsEvidence reports whether s can be the evidence of a [RecordChange].
func IsEvidence(s string) bool {
	if s == "" || len(s) > 256 || s == "next" || s[0] == '-' || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}
