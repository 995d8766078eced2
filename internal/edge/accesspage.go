package edge

import (
	_ "embed"
	"html"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// accessPage is the page that asks for a host's password, ready but for the
// address to return to.
type accessPage struct {
	status        int
	head          []Field // of the page, without its length
	before, after string  // of the address
	plain         notices
}

var (
	//go:embed accesspage.html
	accessText     string
	accessTemplate = template.Must(template.New("access").Parse(accessText))

	askPassword  = newAccessPage(http.StatusUnauthorized, "")
	askAgain     = newAccessPage(http.StatusUnauthorized, "That is not the password.")
	askAfterLink = newAccessPage(http.StatusUnauthorized, "The link is no longer good: it has expired, or the password was changed since. Ask for a new one, or enter the password.")
	askLater     = newAccessPage(http.StatusTooManyRequests, "Too many tries. Wait a minute, then try again.")
	askBusy      = newAccessPage(http.StatusServiceUnavailable, "Many people sign in at the moment. Try again.", Field{"Retry-After", one(retryAfter)})
)

func newAccessPage(status int, message string, extra ...Field) *accessPage {
	const mark = "RETURN-ADDRESS"
	var page strings.Builder
	if err := accessTemplate.Execute(&page, map[string]any{"Action": AccessPath, "To": mark, "Message": message, "MaxLength": maxPasswordBytes / 2}); err != nil {
		panic(err) // the template is a constant
	}
	p := &accessPage{status: status}
	p.before, p.after, _ = strings.Cut(page.String(), mark)
	extra = append(extra, Field{"X-Content-Type-Options", valueNosniff}, Field{"Cache-Control", valueNoStore})
	if status == http.StatusUnauthorized {
		// Asked for by RFC 9110 section 15.5.2. No browser has a dialog for it.
		extra = append(extra, Field{"Www-Authenticate", one(`Cookie form-action="` + AccessPath + `"`)})
	}
	// The form must be known as this host's own, hence same-origin.
	p.head = append([]Field{
		{"Content-Type", one("text/html; charset=utf-8")},
		{"Content-Security-Policy", one("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")},
		{"Referrer-Policy", one("same-origin")},
	}, extra...)
	if message == "" {
		message = "This site is protected: open it in a browser and enter the password."
	}
	text := strconv.Itoa(status) + " " + message + "\n"
	p.plain = notices{append([]Field{
		{"Content-Type", one("text/plain; charset=utf-8")},
		{"Content-Length", one(strconv.Itoa(len(text)))},
	}, extra...), []byte(text)}
	return p
}

// ask makes the answer the page that asks for the password, where somebody looks
// at the answer, and else a line of text.
func (a *Answer) ask(q *Request, p *accessPage, to string) {
	a.Status = p.status
	if !site.AcceptsHTML(q.Accept) || q.SecFetchDest == "empty" || site.IsSubresource(q.SecFetchDest) || !q.reads() && q.Form == nil {
		a.Head, a.text = p.plain.head, p.plain.body
		return
	}
	a.Head, a.text = p.head, []byte(p.before+html.EscapeString(to)+p.after)
	a.Extra = []Field{{"Content-Length", one(strconv.Itoa(len(a.text)))}}
}
