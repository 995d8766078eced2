package edge

import (
	"net/http"
	"strings"
)

// Request is what an answer depends on. A header that was sent on several lines
// is joined by commas.
type Request struct {
	Method string
	Host   string // as sent
	Path   string // as sent, without the query
	Query  string // as sent, without the question mark
	TLS    bool

	ProtoMajor int // of HTTP: 1, 2 or 3

	Accept         string
	AcceptEncoding string
	IfMatch        string
	IfNoneMatch    string
	IfRange        string
	Range          string
	SecFetchDest   string

	Header http.Header // for what few answers depend on
	// Early takes a 103 before the answer; nil: none is sent.
	Early http.ResponseWriter
	Form  *Form // what was sent to AccessPath; Receive fills it
}

// From fills the request with the facts of r.
func (q *Request) From(r *http.Request) {
	target := r.RequestURI
	if target == "" || target[0] != '/' { // in absolute form, or made by hand
		target = r.URL.RequestURI()
	}
	q.Method, q.Host, q.TLS, q.ProtoMajor = r.Method, r.Host, r.TLS != nil, r.ProtoMajor
	q.Path, q.Query, _ = strings.Cut(target, "?")
	h := r.Header
	q.Header = h
	q.Accept = field(h, "Accept")
	q.AcceptEncoding = field(h, "Accept-Encoding")
	q.IfMatch = field(h, "If-Match")
	q.IfNoneMatch = field(h, "If-None-Match")
	q.SecFetchDest = field(h, "Sec-Fetch-Dest")
	if q.Range = field(h, "Range"); q.Range != "" {
		q.IfRange = field(h, "If-Range")
	}
}

// reads reports whether the request asks for a file, and not for anything to be
// done.
func (q *Request) reads() bool { return q.Method == http.MethodGet || q.Method == http.MethodHead }

func field(h http.Header, name string) string {
	switch lines := h[name]; len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	default:
		return strings.Join(lines, ",")
	}
}
