package event

import "strings"

// Selection narrows a log to the events that a listener asked for or may see. Its zero value selects every event,
// operational ones included, so that a listener to all of a log sees its versions without a gap.
type Selection struct {
	// Types are patterns of event types (package match); empty: every type.
	Types []string
	// Subjects are subjects, or beginnings of subjects when they end in "*"; empty: every subject.
	Subjects []string
	// Filter is a CEL expression that must be true, or empty.
	Filter string
}

// IsZero reports whether every event is selected.
func (s *Selection) IsZero() bool { return len(s.Types) == 0 && len(s.Subjects) == 0 && s.Filter == "" }

// MatchSubject reports whether a subject is one of those selected.
func (s *Selection) MatchSubject(subject string) bool {
	for _, want := range s.Subjects {
		if prefix, open := strings.CutSuffix(want, "*"); subject == want || open && strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return len(s.Subjects) == 0
}

// Limits of a Selection.
const (
	MaxSelectionTypes    = 100
	MaxSelectionSubjects = 100
)
