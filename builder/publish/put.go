package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// put sends one blob to its URL.
func (r *run) put(ctx context.Context, u site.Upload) error {
	name := "a compressed file"
	open := func() (io.ReadCloser, error) { return r.variants[u.SHA256].open() }
	if f := r.bodies[u.SHA256]; f != nil {
		name = fmt.Sprintf("file %q", f.name)
		open = func() (io.ReadCloser, error) {
			in, err := openUnchanged(r.root, f)
			if err != nil {
				return nil, err
			}
			return newSameReader(in, f, u.SHA256), nil
		}
	}
	err := r.client.Upload(ctx, u.URL, u.Size, open)
	var changed *ChangedError
	if err != nil && !errors.As(err, &changed) {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	return err
}

// leastRate is the slowest upload that is waited for, in bytes a second.
const leastRate = 64 << 10

// Upload sends size bytes to a signed URL, which may be relative to the control
// plane's address. Open is called for each try. The token stays here: a signed
// URL needs none, and may lead to another party.
func (c *Client) Upload(ctx context.Context, to site.URL, size int64, open func() (io.ReadCloser, error)) error {
	ref, err := url.Parse(to.URL)
	if err != nil {
		return fmt.Errorf("the control plane gave an upload URL that can't be read: %w", err)
	}
	target := c.base.ResolveReference(ref).String()
	timeout := callTimeout + time.Duration(size/leastRate)*time.Second
	quiet := func(string) {}
	return c.retry.run(ctx, quiet, false, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		body, err := open()
		if err != nil {
			return err
		}
		defer body.Close()
		req, err := http.NewRequestWithContext(ctx, to.Method, target, io.NopCloser(body))
		if err != nil {
			return err
		}
		req.ContentLength = size
		if size == 0 {
			req.Body = http.NoBody
		}
		req.GetBody = func() (io.ReadCloser, error) { return open() }
		for name, value := range to.Headers {
			req.Header.Set(name, value)
		}
		req.Header.Set("User-Agent", c.userAgent)
		res, err := c.http.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return readProblem(res)
		}
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxProblem))
		return err
	})
}
