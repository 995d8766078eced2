package controlplane

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ProjectAccess says which hosts of a project ask for a password. The password
// itself is never shown.
type ProjectAccess struct {
	Scope site.AccessScope `json:"scope"`
}

// AccessRow is the protection of a project as it is kept.
type AccessRow struct {
	Scope        site.AccessScope
	PasswordHash string // argon2id, PHC string
	CookieKey    []byte // sealed; replaced together with the hash
}

// AccessInput protects a project.
type AccessInput struct {
	Scope    site.AccessScope
	Password *string // nil keeps the one that there is
}

// A password of a project has this many characters. Edges hash no more than four
// bytes for each.
const (
	MinAccessPassword = 8
	MaxAccessPassword = 128
)

// ShareInput asks for a link that opens one host.
type ShareInput struct {
	Host      string
	Path      string // and query, on that host; none: /
	ExpiresIn time.Duration
}

// ShareLink lets whoever has it in at one host until it expires.
type ShareLink struct {
	URL       string    `json:"url"`
	Host      string    `json:"host"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Limits of share links.
const (
	MinShareTime = time.Minute
	MaxSharePath = 2048 // bytes
)

// SetAccess has a project's previews, or all its hosts, ask for a password. A
// new password ends every access that there was, share links included.
func (s *Service) SetAccess(ctx context.Context, p Principal, project string, in AccessInput) (*Project, error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, err
	}
	if in.Scope != site.AccessPreviews && in.Scope != site.AccessAll {
		return nil, Invalid("scope", "%q is not one of previews and all.", in.Scope)
	}
	if in.Password != nil {
		if err := checkAccessPassword(*in.Password); err != nil {
			return nil, err
		}
	}
	// Before the work of a hash.
	err := s.store.View(ctx, func(tx Tx) error {
		_, err := ownProject(tx, p, project)
		return err
	})
	if err != nil {
		return nil, err
	}
	hash := ""
	if in.Password != nil {
		if hash, err = s.passwords.hash(ctx, *in.Password); err != nil {
			return nil, err
		}
	}
	return s.changeProject(ctx, p, project, ScopeAdmin, func(tx Tx, row *ProjectRow, n *notes) (err error) {
		if hash == "" && row.Protection == nil {
			return Invalid("password", "Give a password: the project has none yet.")
		}
		if row.Protection == nil {
			row.Protection = &AccessRow{}
		}
		row.Protection.Scope = in.Scope
		if hash != "" {
			row.Protection.PasswordHash = hash
			key := make([]byte, site.AccessKeySize)
			_, _ = rand.Read(key) // never fails, see crypto/rand
			if row.Protection.CookieKey, err = s.seal(accessPurpose+row.ID, key); err != nil {
				return fmt.Errorf("seal the access key of project %s: %w", row.ID, err)
			}
		}
		n.publish = true
		return dirtyProject(tx, row, s.now())
	})
}

// RemoveAccess opens a project to everyone. What opened it before is good no
// more, should it be protected again.
func (s *Service) RemoveAccess(ctx context.Context, p Principal, project string) error {
	_, err := s.changeProject(ctx, p, project, ScopeAdmin, func(tx Tx, row *ProjectRow, n *notes) error {
		if row.Protection == nil {
			return nil
		}
		row.Protection = nil
		n.publish = true
		return dirtyProject(tx, row, s.now())
	})
	return err
}

// ShareLink makes a link that opens one protected host of a project. Nothing is
// kept of it: it ends with its time, or with the password.
func (s *Service) ShareLink(ctx context.Context, p Principal, project string, in ShareInput) (link *ShareLink, err error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	if in.ExpiresIn < MinShareTime || in.ExpiresIn > site.MaxShareTime {
		return nil, Invalid("expiresIn", "A link can be good for %d to %d seconds.", MinShareTime/time.Second, site.MaxShareTime/time.Second)
	}
	if err := checkSharePath(in.Path); err != nil {
		return nil, err
	}
	host, err := site.NormalHost(in.Host)
	if err != nil {
		return nil, Invalid("host", "%q is not a host name.", in.Host)
	}
	expires := s.now().Add(in.ExpiresIn).Truncate(time.Second)
	err = s.store.View(ctx, func(tx Tx) error {
		row, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		h, err := tx.Host(host)
		if err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
		if err != nil || h.ProjectID != row.ID || h.Gone {
			return Invalid("host", "The project does not answer at %s.", host)
		}
		if row.Protection == nil || row.Protection.Scope == site.AccessPreviews && environmentOf(h.Role) == site.Production {
			return Errorf(CodeConflict, "%s asks for no password: share its plain address.", host)
		}
		access, err := s.access(row)
		if err != nil {
			return err
		}
		if h.RedirectTo != "" {
			host = h.RedirectTo // where it is opened: a token is good at one host
		}
		token := site.AccessToken(access.CookieKey, site.AccessShare, host, expires)
		link = &ShareLink{URL: s.siteURL(host) + withShareToken(in.Path, token), Host: host, ExpiresAt: expires}
		return nil
	})
	return link, err
}

// access opens what a project's record says of its protection; nil: none.
func (s *Service) access(row *ProjectRow) (*site.Access, error) {
	if row.Protection == nil {
		return nil, nil
	}
	key, err := s.unseal(accessPurpose+row.ID, row.Protection.CookieKey)
	if err != nil {
		return nil, fmt.Errorf("open the access key of project %s: %w", row.ID, err)
	}
	return &site.Access{Scope: row.Protection.Scope, PasswordHash: row.Protection.PasswordHash, CookieKey: key}, nil
}

const accessPurpose = "access key|"

func checkAccessPassword(password string) error {
	n := utf8.RuneCountInString(password)
	if n < MinAccessPassword || n > MaxAccessPassword || !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return Invalid("password", "Use %d to %d characters, none of them a control character.", MinAccessPassword, MaxAccessPassword)
	}
	return nil
}

func checkSharePath(path string) error {
	bad := len(path) > MaxSharePath || path != "" && path[0] != '/' || strings.HasPrefix(path, "//") || strings.Contains(path, `\`)
	for i := range len(path) {
		bad = bad || path[i] <= ' ' || path[i] >= 0x7f
	}
	if bad {
		return Invalid("path", "Give a path that begins with one slash, such as /docs/, percent-encoded and of at most %d bytes.", MaxSharePath)
	}
	return nil
}

// withShareToken puts a token into the query of a path.
func withShareToken(path, token string) string {
	path, fragment, hasFragment := strings.Cut(path, "#")
	if path == "" {
		path = "/"
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	path += separator + site.ShareParameter + "=" + token
	if hasFragment {
		path += "#" + fragment
	}
	return path
}
