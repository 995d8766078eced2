package store

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// noteChannel is what control planes listen to.
	noteChannel = "mini_vercel"

	noteProbe   = 4 * time.Second // how often a silent connection is tried
	noteReply   = 4 * time.Second // for it to answer
	firstListen = 50 * time.Millisecond
	slowListen  = 3 * time.Second
)

// listen hears notes on a connection of its own, and connects again whenever
// that breaks. What was told in between is lost: that is a gap.
func (p *postgres) listen(ctx context.Context, heard func(note string), gap func()) {
	wait := firstListen
	for {
		p.listenOnce(ctx, heard, func() { wait = firstListen; gap() })
		if ctx.Err() != nil {
			return
		}
		p.metrics.listensLost.Inc()
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, slowListen)
	}
}

// listenOnce listens until its connection breaks. Whoever listens calls for all
// to look for themselves then; why it broke the next transaction says, too.
func (p *postgres) listenOnce(ctx context.Context, heard func(note string), begun func()) {
	within, cancel := context.WithTimeout(ctx, connectTime+noteReply)
	defer cancel()
	conn, err := p.connect(within)
	if err != nil {
		return
	}
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteReply)
		defer cancel()
		_ = conn.Close(within) // nothing was written
	}()
	if _, err := conn.Exec(within, "LISTEN "+noteChannel); err != nil {
		return
	}
	begun()
	for {
		wait, cancel := context.WithTimeout(ctx, noteProbe)
		note, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if note.Channel == noteChannel {
				heard(note.Payload)
			}
			continue
		case conn.IsClosed():
			return
		}
		reply, cancel := context.WithTimeout(ctx, noteReply)
		err = conn.Ping(reply)
		cancel()
		if err != nil {
			return
		}
	}
}
