package source

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// maxURLLength is longer than any real address of a repository.
const maxURLLength = 2048

// Repository is an address that git may be given.
type Repository struct {
	URL    string // as git gets it
	Scheme string // https; file and http only where local repositories are allowed
	Host   string // lower case; none for file
	Port   int    // none for file
}

// ParseURL checks the address of a repository. Only https is taken, and with
// local, for repositories on the same machine, also file: and http: (which has
// to lead to a loopback address). Where the host's name leads is checked when
// it is resolved, see [Network].
func ParseURL(raw string, local bool) (*Repository, error) {
	if err := checkText(raw); err != nil {
		return nil, err
	}
	if helper.MatchString(raw) {
		return nil, errors.New("git's remote helpers (scheme::address) are not allowed; use https://")
	}
	if !strings.Contains(raw, "://") && !strings.HasPrefix(raw, "file:") {
		return nil, fmt.Errorf("it has no scheme; use https://%s", strings.TrimLeft(scpToPath(raw), "./"))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it can't be read as a URL")
	}
	switch {
	case u.Scheme == "file" && local:
		return parseFile(raw, u)
	case u.Scheme == "https", u.Scheme == "http" && local:
		return parseHTTP(raw, u)
	case u.Scheme == "file":
		return nil, errors.New("repositories on this machine are not allowed; set ALLOW_LOCAL_GIT=1 on the control plane to allow them")
	case u.Scheme == "http":
		return nil, errors.New("http:// is not encrypted; use https://")
	case u.Scheme == "ssh" || u.Scheme == "git":
		return nil, fmt.Errorf("%s:// is not supported; use https://", u.Scheme)
	}
	return nil, errors.New("its scheme is not supported; use https://")
}

// helper is git's syntax for programs that it runs to reach a repository.
var helper = regexp.MustCompile(`^[^/\[]*::`)

func checkText(raw string) error {
	if raw == "" {
		return errors.New("it is empty")
	}
	if len(raw) > maxURLLength {
		return fmt.Errorf("it is longer than %d characters", maxURLLength)
	}
	if raw[0] == '-' {
		return errors.New("it begins with -")
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c == 0x7f || c == '\\' {
			return errors.New("it holds a space, a control character or a backslash")
		}
		if c > 0x7f {
			return errors.New("it holds a character that is not ASCII; write the host in punycode and the path percent-encoded")
		}
	}
	return nil
}

// scpToPath turns git@host:owner/repository into host/owner/repository.
func scpToPath(raw string) string {
	_, after, found := strings.Cut(raw, "@")
	if !found {
		after = raw
	}
	return strings.Replace(after, ":", "/", 1)
}

func parseFile(raw string, u *url.URL) (*Repository, error) {
	if u.Host != "" || u.User != nil {
		return nil, errors.New("a file: address has three slashes and an absolute path, such as file:///home/me/site")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it has a ? or a #")
	}
	if !path.IsAbs(u.Path) || path.Clean(u.Path) == "/" {
		return nil, errors.New("a file: address needs an absolute path, such as file:///home/me/site")
	}
	return &Repository{URL: raw, Scheme: "file"}, nil
}

func parseHTTP(raw string, u *url.URL) (*Repository, error) {
	if u.User != nil || strings.Contains(u.Host, "@") {
		return nil, errors.New("it holds a user name or password; set the credentials of the project instead")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#") {
		return nil, errors.New("it has a ? or a #")
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("it names no repository, only a host")
	}
	r := &Repository{URL: raw, Scheme: u.Scheme, Host: strings.ToLower(u.Hostname()), Port: 443}
	if u.Scheme == "http" {
		r.Port = 80
	}
	if err := checkHost(r.Host); err != nil {
		return nil, err
	}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("its port %q is no port", port)
		}
		r.Port = n
	} else if strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("it has a colon without a port")
	}
	return r, nil
}

// checkHost takes names and addresses that every program reads in one way: git's
// HTTP library takes 127.1 or 0x7f000001 for loopback, where others see a name.
func checkHost(host string) error {
	if host == "" {
		return errors.New("it has no host")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		if strings.Contains(host, "%") {
			return errors.New("its address has a zone")
		}
		return nil
	}
	if len(host) > 253 {
		return errors.New("its host is longer than a host can be")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("its host %q has an empty or too long part", host)
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return fmt.Errorf("its host %q holds the character %q", host, c)
			}
		}
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return fmt.Errorf("its host %q is neither a name nor an address in the usual form", host)
	}
	return nil
}
