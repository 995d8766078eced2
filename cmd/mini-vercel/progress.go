package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

// progress shows on a terminal, in one line that changes, how far a publication
// has come; elsewhere it writes a line when a step is done.
type progress struct {
	out  io.Writer
	live bool // out is a terminal

	mu    sync.Mutex
	shown bool // a line stands there without its end
	last  publish.Step
}

func newProgress(out io.Writer) *progress { return &progress{out: out, live: isTerminal(out)} }

var stepWords = map[publish.Step][3]string{
	publish.StepHash:     {"Reading", "Read", "file"},
	publish.StepCompress: {"Compressing", "Compressed", "file"},
	publish.StepImprove:  {"Compressing harder:", "", "file"}, // what was done stands there already
	publish.StepUpload:   {"Uploading", "Uploaded", "blob"},
}

// report takes one report of [publish.Run].
func (p *progress) report(r publish.Progress) {
	words, ok := stepWords[r.Step]
	if !ok || r.ItemsTotal == 0 {
		return
	}
	noun := words[2]
	if r.ItemsTotal != 1 {
		noun += "s"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Items == r.ItemsTotal {
		if p.last != r.Step {
			p.last = r.Step
			p.clear()
			if words[1] == "" {
				return
			}
			fmt.Fprintf(p.out, "%s %d %s (%s)\n", words[1], r.Items, noun, publish.Bytes(r.BytesTotal))
		}
		return
	}
	if p.live {
		p.shown = true
		fmt.Fprintf(p.out, "\r\x1b[K%s %d of %d %s, %s of %s", words[0], r.Items, r.ItemsTotal, noun, publish.Bytes(r.Bytes), publish.Bytes(r.BytesTotal))
	}
}

// say writes a line of its own.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, harmless(fmt.Sprintf(format, args...), false))
}

// done ends a line that stands there.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
