package edge

import (
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// notice is a page of the edge's own: what it says where a site can't.
type notice struct {
	status      int
	title, text string
	html, plain notices
}

// notices is a notice in one form, ready to be sent.
type notices struct {
	head []Field
	body []byte
}

// retryAfter is when a client may ask again for what could not be had, in
// seconds.
const retryAfter = "5"

var (
	//go:embed errorpage.html
	noticeText     string
	noticeTemplate = template.Must(template.New("notice").Parse(noticeText))

	noticeBadRequest   = newNotice(http.StatusBadRequest, "Bad request", "The address is too long or has characters that no address has.")
	noticeSuspended    = newNotice(http.StatusForbidden, "This site is suspended", "It is not served at the moment.")
	noticeProtected    = newNotice(http.StatusForbidden, "This site is protected", "Only those who were given access can see it.")
	noticeNoSite       = newNotice(http.StatusNotFound, "No site is here", "Check the address, or deploy a project to it.")
	noticeNoDeploy     = newNotice(http.StatusNotFound, "Nothing deployed yet", "The project is there. Its first deployment will appear here.")
	noticeNotFound     = newNotice(http.StatusNotFound, "Page not found", "This site has no page at this address.")
	noticeMethod       = newNotice(http.StatusMethodNotAllowed, "Method not allowed", "This address can only be read.", Field{"Allow", valueAllow})
	noticeEncoding     = newNotice(http.StatusNotAcceptable, "Not acceptable", "The file is not stored in an encoding that the request accepts.", Field{"Vary", valueVary})
	noticeGone         = newNotice(http.StatusGone, "This site is gone", "It was removed and will not come back at this address.")
	noticePrecondition = newNotice(http.StatusPreconditionFailed, "Precondition failed", "The file is another one than the request expects.")
	noticeRange        = newNotice(http.StatusRequestedRangeNotSatisfiable, "Range not satisfiable", "The file has no such part.", Field{"Accept-Ranges", valueBytes})
	noticeForm         = newNotice(http.StatusBadRequest, "Bad request", "That was not the form with the password. Go back and try again.")
	noticeForeignForm  = newNotice(http.StatusForbidden, "Sent from elsewhere", "The password was sent by another site's page. Open this site and enter it there.")
	noticeFormSize     = newNotice(http.StatusRequestEntityTooLarge, "Too large", "That is longer than any password. Go back and try again.")
	noticeMisdirected  = newNotice(http.StatusMisdirectedRequest, "Misdirected request", "This server does not answer for that host.")
	noticeWrongServer  = newNotice(http.StatusMisdirectedRequest, "Misdirected request", "This server does not answer for that host.", Field{"Connection", one("close")})
	noticeStorage      = newNotice(http.StatusBadGateway, "The file could not be read", "The storage behind this site does not answer right now. Try again in a moment.", Field{"Retry-After", one(retryAfter)})
	noticeBusy         = newNotice(http.StatusServiceUnavailable, "Try again in a moment", "It could not be found out right now which site is here.", Field{"Retry-After", one(retryAfter)})

	valueAllow = one("GET, HEAD, OPTIONS")
)

func newNotice(status int, title, text string, extra ...Field) *notice {
	n := &notice{status: status, title: title, text: text}
	var page strings.Builder
	if err := noticeTemplate.Execute(&page, map[string]any{"Status": status, "Title": title, "Text": text}); err != nil {
		panic(err) // the template is a constant
	}
	n.html = newNotices("text/html; charset=utf-8", page.String(), extra)
	n.plain = newNotices("text/plain; charset=utf-8", strconv.Itoa(status)+" "+title+". "+text+"\n", extra)
	return n
}

func newNotices(contentType, body string, extra []Field) notices {
	head := []Field{
		{"Content-Type", one(contentType)},
		{"Content-Length", one(strconv.Itoa(len(body)))},
		{"Cache-Control", valueNoStore},
		{"X-Content-Type-Options", valueNosniff},
	}
	if strings.HasPrefix(contentType, "text/html") {
		head = append(head, Field{"Content-Security-Policy", one("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")})
	}
	return notices{append(head, extra...), []byte(body)}
}

// in returns the notice in the form that a request accepts.
func (n *notice) in(q *Request) *notices {
	if site.AcceptsHTML(q.Accept) {
		return &n.html
	}
	return &n.plain
}
