package builder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/builder/report"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// claim exchanges the one-use token for the job.
func claim(ctx context.Context, config Config) (*site.Job, error) {
	client, err := newClient(config, "", publish.Retry{})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	job := &site.Job{}
	err = client.Do(ctx, publish.Call{
		Method: http.MethodPost, Path: "/attempts/claim", In: site.ClaimRequest{Token: config.Claim}, Out: job,
		Once: true, // a second try of one that came through would find the token used
	})
	if err != nil {
		return nil, fmt.Errorf("claim the job: %w", err)
	}
	if job.AttemptID == "" || job.Token == "" || job.Deployment == "" {
		return nil, errors.New("claim the job: the control plane's answer lacks the attempt")
	}
	defaults := site.DefaultLimits()
	for _, limit := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&job.Limits.CloneTime, defaults.CloneTime}, {&job.Limits.InstallTime, defaults.InstallTime},
		{&job.Limits.BuildTime, defaults.BuildTime}, {&job.Limits.UploadTime, defaults.UploadTime},
	} {
		if *limit.field <= 0 {
			*limit.field = limit.value
		}
	}
	if job.Limits.LogBytes <= 0 {
		job.Limits.LogBytes = defaults.LogBytes
	}
	if job.Limits.LogLineBytes <= 0 {
		job.Limits.LogLineBytes = defaults.LogLineBytes
	}
	if job.Limits.ArchiveBytes <= 0 {
		job.Limits.ArchiveBytes = defaults.ArchiveBytes
	}
	return job, nil
}

func newClient(config Config, token string, retry publish.Retry) (*publish.Client, error) {
	return publish.NewClient(publish.ClientOptions{URL: config.URL, Token: token, UserAgent: "mini-vercel-builder/" + config.Version, Retry: retry})
}

// eventClient delivers events of one attempt.
type eventClient struct {
	client *publish.Client
	path   string
}

func newEventClient(config Config, job *site.Job) (*eventClient, error) {
	// The reporter repeats by itself, for longer than any call would.
	client, err := newClient(config, job.Token, publish.Retry{Tries: 1, MaxWait: time.Nanosecond})
	if err != nil {
		return nil, err
	}
	return &eventClient{client: client, path: "/attempts/" + url.PathEscape(job.AttemptID) + "/events"}, nil
}

func (c *eventClient) send(ctx context.Context, batch []byte) (canceled bool, err error) {
	var answer struct {
		Canceled bool `json:"canceled"`
	}
	err = c.client.Do(ctx, publish.Call{Method: http.MethodPost, Path: c.path, Body: batch, Type: "application/json", Out: &answer})
	var api *publish.APIError
	if errors.As(err, &api) {
		switch api.Status {
		case http.StatusUnauthorized, http.StatusGone:
			return false, fmt.Errorf("%w: %w", report.ErrOver, err)
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return false, &report.RefusedError{Err: err}
		}
	}
	return answer.Canceled, err
}
