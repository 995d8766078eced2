package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
)

// follow reads the log of a server that answers each request of the stream with
// the next of the answers.
func follow(t *testing.T, ctx context.Context, answers ...func(http.ResponseWriter, *http.Request)) (lines, resumed []string, states int, err error) {
	t.Helper()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		resumed = append(resumed, r.Header.Get("Last-Event-ID"))
		answers[min(i, len(answers)-1)](w, r)
	}))
	defer server.Close()
	client, err := publish.NewClient(publish.ClientOptions{URL: server.URL, Token: "mv_x"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f := follower{
		conn: &connection{client}, notes: io.Discard,
		lines: func(l *controlplane.LogLine) { lines = append(lines, l.Text) },
		state: func(*controlplane.Deployment) { states++ },
	}
	err = f.run(ctx, "d1", "")
	return lines, resumed, states, err
}

func sends(text string, cut bool) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, text)
		_ = http.NewResponseController(w).Flush()
		if cut {
			panic(http.ErrAbortHandler)
		}
	}
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func line(id, text string) string {
	return fmt.Sprintf("id: %s\nevent: line\ndata: {\"text\":%q}\n\n", id, text)
}

func TestALogIsTakenUpWhereItBroke(t *testing.T) {
	lines, resumed, states, err := follow(t, t.Context(),
		sends(": hello\n\n"+line("1-1", "a")+line("1-2", "b")+"id: 1-3\nevent: line\ndata: {\"text\":\"half", true), // cut within an event
		status(503), // the control plane starts anew
		status(502),
		sends(line("1-3", "c")+"\n\n: still here\n\n", false), // ended without the end
		sends("event: other\ndata: x\n\nid: 1-4\nevent: state\ndata: {\"id\":\"d1\",\ndata: \"status\":\"READY\"}\n\nid: 1-4\nevent: end\ndata: {}\n\n"+line("1-5", "behind the end"), false),
	)
	if err != nil || !slices.Equal(lines, []string{"a", "b", "c"}) || states != 1 {
		t.Errorf("lines %q, %d states, %v", lines, states, err)
	}
	if want := []string{"", "1-2", "1-2", "1-2", "1-3"}; !slices.Equal(resumed, want) {
		t.Errorf("taken up behind %q, want %q", resumed, want)
	}
}

func TestALogThatIsNotThereIsNotWaitedFor(t *testing.T) {
	for _, code := range []int{401, 403, 404} {
		_, asked, _, err := follow(t, t.Context(), status(code))
		var api *publish.APIError
		if !errors.As(err, &api) || api.Status != code || len(asked) != 1 {
			t.Errorf("%d: asked %d times, %v", code, len(asked), err)
		}
	}
}

func TestFollowingEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, _, _, err := follow(t, ctx, func(w http.ResponseWriter, r *http.Request) {
		sends(line("1-1", "a"), false)(w, r)
		cancel()
		<-r.Context().Done()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLogLinesAreGroupedByPhase(t *testing.T) {
	var out strings.Builder
	p := newLogPrinter(&out)
	for _, l := range []controlplane.LogLine{
		{Attempt: 1, Phase: "clone", Text: "a"}, {Attempt: 1, Phase: "clone", Text: "\x1b[31mb\x1b[2J"},
		{Attempt: 1, Phase: "build", Text: "c"}, {Attempt: 2, Phase: "build", Text: "d\re"},
	} {
		p.print(&l)
	}
	if want := "── clone\na\nb\n── build\nc\n── attempt 2\n── build\nde\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
