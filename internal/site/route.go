package site

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Environment says what a deployment is for.
type Environment string

// The environments.
const (
	Production Environment = "production"
	Preview    Environment = "preview"
)

// Route is the published record of one host: which deployment of which project
// answers there. It is kept as JSON under [RouteKey].
type Route struct {
	Host        string      `json:"host"`
	Project     string      `json:"project"`
	Deployment  string      `json:"deployment,omitempty"` // none: nothing is deployed yet
	Environment Environment `json:"environment,omitempty"`
	RedirectTo  string      `json:"redirectTo,omitempty"` // another host that answers instead
	Previous    []Previous  `json:"previous,omitempty"`   // newest first, at most MaxPrevious
	Generation  int64       `json:"generation"`
	PublishedAt time.Time   `json:"publishedAt"`
	Gone        bool        `json:"gone,omitempty"` // a tombstone, answered 410 Gone
}

// MaxPrevious is how many earlier deployments a route names at most.
const MaxPrevious = 5

// Grace is how long after it was replaced a deployment's immutable files are
// still served at the route that it had.
const Grace = 24 * time.Hour

// Previous is an earlier deployment of a route, whose immutable files are
// served to pages that were open when it was replaced.
type Previous struct {
	Deployment string    `json:"deployment"`
	Until      time.Time `json:"until"`
}

// ProjectState says whether a project's sites are served.
type ProjectState string

// The states of a project.
const (
	ProjectActive    ProjectState = "active"
	ProjectSuspended ProjectState = "suspended" // answered 403
	ProjectDeleted   ProjectState = "deleted"   // answered 410
)

// Project is the published record of one project, kept as JSON under
// [ProjectKey]. A takedown or a new password is one write of it.
type Project struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Owner      string       `json:"owner"`
	State      ProjectState `json:"state"`
	Access     *Access      `json:"access,omitempty"` // none: everyone may look
	Generation int64        `json:"generation"`
}

// AccessScope says which hosts of a project ask for a password.
type AccessScope string

// The scopes of access protection.
const (
	AccessPreviews AccessScope = "previews"
	AccessAll      AccessScope = "all"
)

// Access is the protection of a project's hosts by a password. Hash and key are
// always replaced together, so that a new password ends every session.
type Access struct {
	Scope        AccessScope `json:"scope"`
	PasswordHash string      `json:"passwordHash"` // argon2id, in the PHC string format
	CookieKey    []byte      `json:"cookieKey"`    // 32 random bytes
}

// Head is the change log: what changed last, oldest first. An edge polls it and
// asks again for the routes and records that it names.
type Head struct {
	Seq     int64    `json:"seq"` // number of the last change; 0: none yet
	Changes []Change `json:"changes"`
}

// MaxChanges is how many changes the head lists. An edge that has missed more
// asks again for everything it holds.
const MaxChanges = 1000

// Change names one host or one project that changed, with the generation that
// a reader must see at least.
type Change struct {
	Host       string `json:"host,omitempty"`
	Project    string `json:"project,omitempty"`
	Generation int64  `json:"generation"`
}

// Append adds changes to the log and drops the oldest beyond [MaxChanges].
func (h *Head) Append(changes ...Change) {
	h.Seq += int64(len(changes))
	h.Changes = append(h.Changes, changes...)
	if n := len(h.Changes) - MaxChanges; n > 0 {
		h.Changes = append([]Change(nil), h.Changes[n:]...)
	}
}

// Since returns the changes after seq. It reports false where the log no longer
// holds them all, or where it has moved back behind seq: the reader must then
// ask again for everything.
func (h *Head) Since(seq int64) ([]Change, bool) {
	missed := h.Seq - seq
	if missed < 0 || missed > int64(len(h.Changes)) {
		return nil, false
	}
	return h.Changes[int64(len(h.Changes))-missed:], true
}

// MaxHostLength is the longest host name, RFC 1035 section 2.3.4 (less the
// final dot and the root's length byte).
const MaxHostLength = 253

var errHost = errors.New("not a host name")

// NormalHost brings a Host header's value into the form in which routes are
// kept: lower case, without port and final dot. It refuses what can't be a host
// name in ASCII (names beyond it arrive as punycode, RFC 5890), and IP
// addresses in brackets. It allocates only where letters must be lowered.
func NormalHost(s string) (string, error) {
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		if !digits(s[i+1:]) {
			return "", errHost
		}
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > MaxHostLength {
		return "", errHost
	}
	label, upper := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 || s[i-1] == '-' {
				return "", errHost
			}
			label = 0
			continue
		case c == '-':
			if label == 0 {
				return "", errHost
			}
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_':
		default:
			return "", errHost
		}
		if label++; label > MaxLabelLength {
			return "", errHost
		}
	}
	if label == 0 || s[len(s)-1] == '-' {
		return "", errHost
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, nil
}

// MaxLabelLength is the longest label of a host name, RFC 1035 section 2.3.4.
const MaxLabelLength = 63

// HostIDLength is how many hexadecimal digits of a deployment's id its host
// name begins with.
const HostIDLength = 8

// DeploymentHost is the host at which one deployment answers for as long as it
// is kept.
func DeploymentHost(hostID, subDomain, baseDomain string) string {
	return hostID + "--" + subDomain + "." + baseDomain
}

// BranchHost is the host at which the newest deployment of a branch answers.
// Its first label is cut to 63 characters, with six characters of the branch
// name's hash wherever the slug lost something, so that no two branches share a
// host by chance.
func BranchHost(branch, subDomain, baseDomain string) string {
	const prefix = "git-"
	slug, lossless := slugOf(branch)
	room := MaxLabelLength - len(prefix) - len("--") - len(subDomain)
	if !lossless || len(slug) > room {
		sum := HashOf([]byte(branch)).String()[:6]
		slug = strings.TrimRight(slug[:min(len(slug), max(room-len(sum)-1, 0))], "-")
		if slug != "" {
			slug += "-"
		}
		slug += sum
	}
	return prefix + slug + "--" + subDomain + "." + baseDomain
}

// slugOf writes s in the characters of a host label and reports whether s can
// be told from the slug alone.
func slugOf(s string) (slug string, lossless bool) {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	slug = strings.TrimRight(b.String(), "-")
	return slug, slug == s
}

// CheckSubDomain says what is wrong with a project's subdomain: a DNS label of
// 3 to 40 characters without "--", which separates the parts of preview hosts.
func CheckSubDomain(s string) error {
	switch {
	case len(s) < 3 || len(s) > 40:
		return fmt.Errorf("subdomain %q: use 3 to 40 characters", s)
	case strings.Contains(s, "--"):
		return fmt.Errorf("subdomain %q: two hyphens in a row are kept for preview hosts", s)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("subdomain %q: begin and end with a letter or a digit", s)
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("subdomain %q: use lower-case letters, digits and hyphens only", s)
		}
	}
	return nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
