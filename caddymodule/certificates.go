package caddymodule

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/certstore"
)

// newCertificates counts the certificates of a storage by the days that they have
// left. The bucket's storage counts what it has seen itself.
func newCertificates(storage certmagic.Storage) prometheus.Collector {
	s := &storedCertificates{storage: storage}
	return certstore.NewDaysLeft(s.ends)
}

// storedCertificates knows when the certificates in a storage end. It reads all of
// them, so it does that rarely, however often somebody scrapes.
type storedCertificates struct {
	storage certmagic.Storage

	mu    sync.Mutex
	until []time.Time
	read  time.Time
}

const (
	certificatesReadEvery = 10 * time.Minute
	certificatesReadTime  = 5 * time.Second
	maxCertificatesRead   = 20_000
)

func (s *storedCertificates) ends(now time.Time) iter.Seq[time.Time] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read.IsZero() || now.Sub(s.read) >= certificatesReadEvery || now.Before(s.read) {
		ctx, cancel := context.WithTimeout(context.Background(), certificatesReadTime)
		defer cancel()
		s.until, s.read = readCertificates(ctx, s.storage), now
	}
	return slices.Values(s.until)
}

// readCertificates returns when each certificate ends. What can't be read is left
// out: whether the storage works, its own errors say.
func readCertificates(ctx context.Context, storage certmagic.Storage) (until []time.Time) {
	keys, err := storage.List(ctx, "certificates", true)
	if err != nil {
		return nil
	}
	for _, key := range keys {
		if !strings.HasSuffix(key, ".crt") || len(until) == maxCertificatesRead {
			continue
		}
		encoded, err := storage.Load(ctx, key)
		if err != nil {
			continue
		}
		if block, _ := pem.Decode(encoded); block != nil {
			if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
				until = append(until, leaf.NotAfter)
			}
		}
	}
	return until
}
