package rest

import (
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

// etag is a resource's revision, and, for a resource whose answer also holds what no revision counts (an endpoint's
// live state), a hash of that: If-None-Match sees every change, If-Match only those of the configuration.
func etag(revision int64, live []byte) string {
	s := strconv.FormatInt(revision, 10)
	if len(live) > 0 {
		h := fnv.New64a()
		_, _ = h.Write(live) // never fails (package hash)
		s += "-" + strconv.FormatUint(h.Sum64(), 36)
	}
	return `"` + s + `"`
}

// tagList splits a list of entity tags (RFC 9110, 8.8.3). Weak ones are marked by their W/.
func tagList(header string) []string {
	var tags []string
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part != "" {
			tags = append(tags, part)
		}
	}
	return tags
}

// matchRevision reads If-Match: the revisions that it names; whichever is true when there is no condition.
func matchRevision(header string) (revisions []int64, whichever bool) {
	if header == "" || strings.TrimSpace(header) == "*" {
		return nil, true
	}
	for _, tag := range tagList(header) {
		tag = strings.Trim(tag, `"`) // a weak one keeps its W/ and so never matches (RFC 9110, 13.1.1)
		tag, _, _ = strings.Cut(tag, "-")
		if n, err := strconv.ParseInt(tag, 10, 64); err == nil && n > 0 {
			revisions = append(revisions, n)
		}
	}
	return revisions, false
}

// preconditionFailed is the answer when none of the tags of If-Match is that of the stored resource.
func preconditionFailed() *problem {
	return newProblem(http.StatusPreconditionFailed, "revision_mismatch", "the resource was changed since its ETag was read; read it again")
}

// InOnlyNew is the condition of a PUT that must not replace anything.
type InOnlyNew struct {
	IfNoneMatch string `header:"If-None-Match" doc:"*: only if there is none yet; 412 when there is"`
}

// onlyNew reports whether the condition is there.
func (in *InOnlyNew) onlyNew() (bool, error) {
	switch strings.TrimSpace(in.IfNoneMatch) {
	case "":
		return false, nil
	case "*":
		return true, nil
	}
	return false, invalid("If-None-Match", "must be *")
}

// existsAlready is the answer when If-None-Match: * finds something.
func existsAlready(detail string) *problem {
	return newProblem(http.StatusPreconditionFailed, "not_new", detail)
}

// noneMatch reports whether If-None-Match names tag, by the weak comparison (RFC 9110, 13.1.2).
func noneMatch(header, tag string) bool {
	if header == "" || tag == "" {
		return false
	}
	tag = strings.TrimPrefix(tag, "W/")
	for _, t := range tagList(header) {
		if t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}
