package edge

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxForm is the most that a password's form may send, in bytes: a password of
// 128 characters and an address of maxReturn bytes, all of them percent-encoded.
const maxForm = 16 << 10

// formTime is how long a form may take to arrive.
const formTime = 10 * time.Second

var (
	errFormSyntax = errors.New("not a form with a password")
	errFormSize   = errors.New("the form is too large")
)

// Form is what the page that asks for a password has sent.
type Form struct {
	Password string
	To       string // where to go from there

	client     netip.Prefix // who sent it: an address, in IPv6 a /64
	sameOrigin bool
	err        error // errFormSyntax or errFormSize
}

// Receive reads the form of a request that sends a password. client is the
// address of who sent it, with or without a port. Other requests keep their
// bodies.
func (q *Request) Receive(w http.ResponseWriter, r *http.Request, client string) {
	if q.Method != http.MethodPost || q.Path != AccessPath {
		return
	}
	q.Form = &Form{client: clientOf(client), sameOrigin: sameOrigin(r)}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		q.Form.err = errFormSyntax
		return
	}
	control := http.NewResponseController(w)
	// Where there can be no deadline, the server's own counts.
	_ = control.SetReadDeadline(time.Now().Add(formTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	_ = control.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		q.Form.err = errFormSize
	case err != nil:
		q.Form.err = errFormSyntax
	default:
		q.Form.Password, q.Form.To, q.Form.err = parseForm(string(body))
	}
}

func parseForm(body string) (password, to string, err error) {
	values, err := url.ParseQuery(body)
	if err != nil || !values.Has("password") {
		return "", "", errFormSyntax
	}
	return values.Get("password"), values.Get("to"), nil
}

// sameOrigin reports whether a form came from a page of this host. Browsers say
// where it came from (Fetch Metadata, else Origin); who is no browser does not
// act for somebody else.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // none: sent again by the person
		return true
	case "":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	// Not the scheme: a proxy in front may have taken HTTPS off.
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// clientOf names who has an address. In IPv6 one person has a /64 at least. What
// is no address is nobody in particular.
func clientOf(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		withPort, _ := netip.ParseAddrPort(address)
		addr = withPort.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
