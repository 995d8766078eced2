package edge_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// faultProxy stands between an edge and a service that speaks S3, and harms
// what comes through.
type faultProxy struct {
	service string
	server  *httptest.Server

	mu     sync.Mutex
	random *rand.Rand
	share  float64 // of the answers that are harmed
	harm   harm
}

// harm is what becomes of an answer.
type harm func(w http.ResponseWriter, answer *http.Response, body []byte, random func(n int) int)

func newFaultProxy(t testing.TB, service string) *faultProxy {
	p := &faultProxy{service: service, random: rand.New(rand.NewPCG(1, 2))}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// harms makes the proxy do something to a share of the answers; nil to none.
func (p *faultProxy) harms(share float64, h harm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share, p.harm = share, h
}

func (p *faultProxy) number(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.IntN(n)
}

func (p *faultProxy) chosen() harm {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random.Float64() < p.share {
		return p.harm
	}
	return nil
}

func (p *faultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.service+r.RequestURI, r.Body)
	if err != nil {
		panic(err)
	}
	out.Header, out.Host, out.ContentLength = r.Header, r.Host, r.ContentLength // all of it is signed
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h := p.chosen()
	if h == nil {
		h = plain
	}
	h(w, answer, body, p.number)
}

// plain sends an answer as it is.
func plain(w http.ResponseWriter, answer *http.Response, body []byte, _ func(int) int) {
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body)
}

// The harms.

func unavailable(w http.ResponseWriter, _ *http.Response, _ []byte, _ func(int) int) {
	http.Error(w, "<Error><Code>InternalError</Code></Error>", http.StatusServiceUnavailable)
}

// denied is what a service says for a moment while keys are replaced.
func denied(w http.ResponseWriter, _ *http.Response, _ []byte, _ func(int) int) {
	http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
}

// unnamed404 is a 404 of something in between: no word about any key.
func unnamed404(w http.ResponseWriter, _ *http.Response, _ []byte, _ func(int) int) {
	http.Error(w, "not found", http.StatusNotFound)
}

func late(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	time.Sleep(time.Duration(random(100)) * time.Millisecond)
	plain(w, answer, body, random)
}

// resets ends the connection by a reset, before the answer or within its body.
func resets(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if random(2) == 0 {
		var head bytes.Buffer
		_ = answer.Header.Write(&head)
		_, _ = buffer.WriteString("HTTP/1.1 " + strconv.Itoa(answer.StatusCode) + " OK\r\n" + head.String() + "\r\n")
		_, _ = buffer.Write(body[:random(len(body)+1)])
		_ = buffer.Flush()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// cutsShort ends the body too soon.
func cutsShort(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	if len(body) == 0 {
		plain(w, answer, body, random)
		return
	}
	plain(w, answer, body[:random(len(body))], random)
	panic(http.ErrAbortHandler)
}

// shorter announces a body that lacks its end: whoever believes the length
// sees nothing wrong.
func shorter(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	if answer.StatusCode == http.StatusOK && len(body) > 0 {
		body = body[:random(len(body))]
		answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	plain(w, answer, body, random)
}

// corrupts changes a byte of the body.
func corrupts(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	if len(body) > 0 {
		body[random(len(body))] ^= byte(1 + random(255))
	}
	plain(w, answer, body, random)
}

// drips sends a byte every 50 milliseconds.
func drips(w http.ResponseWriter, answer *http.Response, body []byte, random func(int) int) {
	if len(body) == 0 {
		plain(w, answer, body, random)
		return
	}
	plain(w, answer, body[:1], random)
	out := http.NewResponseController(w)
	for i := 1; i < len(body); i++ {
		time.Sleep(50 * time.Millisecond)
		if _, err := w.Write(body[i : i+1]); err != nil || out.Flush() != nil {
			return
		}
	}
}

// outage ends every connection without a word.
func outage(http.ResponseWriter, *http.Response, []byte, func(int) int) { panic(http.ErrAbortHandler) }

// hangs answers nothing for as long as anybody may wait.
func hangs(_ http.ResponseWriter, answer *http.Response, _ []byte, _ func(int) int) {
	select {
	case <-answer.Request.Context().Done():
	case <-time.After(30 * time.Second):
	}
	panic(http.ErrAbortHandler)
}
