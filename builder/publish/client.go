package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ClientOptions say which control plane a [Client] speaks to.
type ClientOptions struct {
	URL       string       // of the control plane, such as http://localhost:9000
	Token     string       // bearer token: of the API or of an attempt; may be empty for /auth
	UserAgent string       // such as mini-vercel-cli/1.2.0
	Notify    func(string) // a sentence about a wait or a retry, for the person who waits; may be nil
	Retry     Retry        // zero values stand for the defaults
}

// Client speaks to the control plane's API. Every call has a deadline, is
// repeated a few times where that is safe, and waits where it is told to.
type Client struct {
	base      *url.URL
	token     string
	userAgent string
	notify    func(string)
	retry     Retry
	http      *http.Client
}

// NewClient checks the address and makes a client with a pool of connections of
// its own, which [Client.Close] ends.
func NewClient(o ClientOptions) (*Client, error) {
	if strings.Contains(o.URL, "@") { // first: what follows shows the address
		return nil, errors.New("the address of a control plane has no place for a user and a password (it is not shown): use one like http://localhost:9000, and a token")
	}
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the address of a control plane: use one like http://localhost:9000", o.URL)
	}
	notify := o.Notify
	if notify == nil {
		notify = func(string) {}
	}
	return &Client{
		base:      base,
		token:     o.Token,
		userAgent: o.UserAgent,
		notify:    notify,
		retry:     o.Retry.withDefaults(),
		http: &http.Client{
			Transport: newTransport(),
			// Followed, a POST would become a GET and lose its body.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// URL returns the control plane's address.
func (c *Client) URL() string { return c.base.String() }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call is one request to the API.
type Call struct {
	Method string
	Path   string     // absolute, escaped: /projects
	Query  url.Values // may be nil
	Header http.Header

	In   any    // written as JSON; or
	Body []byte // sent as it is, of type Type
	Type string

	OutHeader *http.Header // gets the answer's header; may be nil
	Out       any          // *[]byte gets the body as it is, anything else is read from JSON; nil: the body is dropped

	// Once marks a call that must not reach the control plane twice: it is
	// repeated only where the first one surely did nothing.
	Once    bool
	Timeout time.Duration // of each try; 0: 30 s
}

const (
	callTimeout = 30 * time.Second
	maxAnswer   = 256 << 20
	maxProblem  = 1 << 20
)

// Do makes a call. An answer other than 2xx is an [*APIError].
func (c *Client) Do(ctx context.Context, call Call) error {
	body, contentType := call.Body, call.Type
	if call.In != nil {
		encoded, err := json.Marshal(call.In)
		if err != nil {
			return fmt.Errorf("%s %s: %w", call.Method, call.Path, err)
		}
		body, contentType = encoded, "application/json"
	}
	timeout := call.Timeout
	if timeout == 0 {
		timeout = callTimeout
	}
	err := c.retry.run(ctx, c.notify, call.Once, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		req, err := c.newRequest(ctx, call, body)
		if err != nil {
			return err
		}
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		return c.exchange(req, call.Out, call.OutHeader)
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", call.Method, call.Path, c.explain(err))
	}
	return nil
}

// Stream opens an answer that is read as it comes, such as server-sent events.
// It makes one try; the caller closes the body and opens the next one.
func (c *Client) Stream(ctx context.Context, call Call) (*http.Response, error) {
	req, err := c.newRequest(ctx, call, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", call.Method, call.Path, c.explain(err))
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", call.Method, call.Path, readProblem(res))
	}
	return res, nil
}

func (c *Client) newRequest(ctx context.Context, call Call, body []byte) (*http.Request, error) {
	u := c.base.String() + call.Path
	if len(call.Query) > 0 {
		u += "?" + call.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json, application/problem+json")
	}
	req.Header.Set("User-Agent", c.userAgent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

func (c *Client) exchange(req *http.Request, out any, header *http.Header) error {
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return readProblem(res)
	}
	if header != nil {
		*header = res.Header
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer is over %d bytes", maxAnswer)
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = body
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &badAnswerError{err}
	}
	return nil
}

// badAnswerError is an answer that was not the API's. Asking again brings the
// same one.
type badAnswerError struct{ err error }

func (e *badAnswerError) Error() string {
	return "the answer is not what a control plane of this version sends, check its address: " + e.err.Error()
}

func (e *badAnswerError) Unwrap() error { return e.err }

// explain adds to a failed connection what a person can do about it.
func (c *Client) explain(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("the control plane's name %s can't be resolved, check its address: %w", c.base.Hostname(), err)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("no control plane answers at %s, start one with `mini-vercel up` or check the address: %w", c.base, err)
	}
	return err
}
