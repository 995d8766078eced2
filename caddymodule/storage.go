package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/certstore"
)

func init() { caddy.RegisterModule(Storage{}) }

// Storage keeps certificates, their keys and ACME accounts in a bucket that all
// edges share, so that they order each certificate once and any edge can answer
// a CA's challenges. Values are encrypted. A copy of what an edge has read stays
// on its disk, and HTTPS goes on while the bucket is away.
type Storage struct {
	// The bucket: one of its own, whose key edges may write with. Required.
	Bucket Bucket `json:"bucket"`

	// At least 32 random bytes in base64 or hex that all edges share. Without it
	// the bucket is of no use. Default: {env.EDGE_SECRET}.
	Secret string `json:"secret,omitempty"`

	// The other secret while a fleet changes from one to another: what it has
	// encrypted can be read, and is encrypted anew with the first when it is.
	// Default: {env.EDGE_SECRET_PREVIOUS}, if set.
	PreviousSecret string `json:"previous_secret,omitempty"`

	// The directory of the copies. Default: below Caddy's data directory.
	LocalDir string `json:"local_dir,omitempty"`

	// How many bytes the copies may have together. Default: 512 MiB.
	LocalSize int64 `json:"local_size,omitempty"`

	state *storageState // nil until Provision succeeded
}

// CaddyModule returns the Caddy module information.
func (Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.bucket", New: func() caddy.Module { return new(Storage) }}
}

// Provision checks the settings and takes the storage that is shared with the
// configuration before and after this one. It opens nothing.
func (s *Storage) Provision(ctx caddy.Context) error {
	if s.LocalSize < 0 {
		return errors.New("the storage bucket: local_size must not be negative")
	}
	if s.LocalDir == "" {
		s.LocalDir = filepath.Join(caddy.AppDataDir(), "mini-vercel", "certificates")
	}
	state, err := acquireStorage(s, ctx.Slogger())
	if err != nil {
		return fmt.Errorf("the storage bucket: %w", err)
	}
	s.state = state
	return register(ctx.GetMetricsRegistry(), state.Metrics().Collectors())
}

// CertMagicStorage returns the shared storage.
func (s *Storage) CertMagicStorage() (certmagic.Storage, error) { return s.state.Storage, nil }

// Cleanup gives the shared storage back.
func (s *Storage) Cleanup() error {
	if s.state == nil {
		return nil
	}
	_, err := storagePool.Delete(s.state.key)
	s.state = nil
	return err
}

// storageState is the storage of one bucket, for all configurations that use it:
// locks are kept across a reload.
type storageState struct {
	*certstore.Storage
	key storageKey
	log *slog.Logger
}

// storageKey is what makes two configurations share a storage. Other secrets or
// another key to the bucket make another one, so that a configuration that fails
// to load changes nothing.
type storageKey struct {
	bucket, localDir string
	secrets          [sha256.Size]byte
}

var storagePool = caddy.NewUsagePool()

func acquireStorage(s *Storage, log *slog.Logger) (*storageState, error) {
	if err := s.Bucket.Check(); err != nil {
		return nil, err
	}
	bucket := s.Bucket.replaced() // now: the environment is the configuration's
	identity, err := bucket.Identity()
	if err != nil {
		return nil, err
	}
	r := caddy.NewReplacer()
	secrets, err := certstore.ParseSecrets(
		r.ReplaceAll(orElse(s.Secret, "{env.EDGE_SECRET}"), ""),
		r.ReplaceAll(orElse(s.PreviousSecret, "{env.EDGE_SECRET_PREVIOUS}"), ""),
	)
	if err != nil {
		return nil, err
	}
	key := storageKey{identity, s.LocalDir, sha256.Sum256(fmt.Append(nil, secrets.Fingerprint(), "\x00", bucket.AccessKeyID, "\x00", bucket.SecretAccessKey))}
	value, _, err := storagePool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &storageState{key: key, log: log, Storage: certstore.New(certstore.Config{
			// One attempt: what may be made again the storage makes again.
			Open:     func(ctx context.Context) (certstore.Bucket, error) { return bucket.Open(ctx, 1) },
			Identity: identity, Secrets: secrets, LocalDir: s.LocalDir, LocalBytes: s.LocalSize, Log: log,
		})}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*storageState), nil
}

// Destruct ends the storage when no configuration uses it any more. Who needs
// the end waits with closed.
func (s *storageState) Destruct() error {
	closing.Go(func() {
		if err := s.Close(); err != nil {
			s.log.Warn("the storage of certificates did not end well", slog.Any("error", err))
		}
	})
	return nil
}

// checkStorage stops a start where certificates can't be decrypted. That the
// bucket is away stops nothing.
func checkStorage(storage certmagic.Storage, log *slog.Logger) error {
	s, ok := storage.(*certstore.Storage)
	if !ok {
		return nil
	}
	err := s.Check(context.Background())
	if errors.Is(err, certstore.ErrSecret) || errors.Is(err, certstore.ErrDamaged) {
		return err
	}
	if err != nil {
		log.Warn("the bucket of certificates can't be used: this edge's own copies stand in for it, and no new certificate is ordered", slog.Any("error", err))
	}
	return nil
}

// storageCollectors returns the metrics of a storage of this package.
func storageCollectors(storage certmagic.Storage) []prometheus.Collector {
	if s, ok := storage.(*certstore.Storage); ok {
		return s.Metrics().Collectors()
	}
	return nil
}

// UnmarshalCaddyfile fills the storage from the global option:
//
//	storage bucket {
//	    bucket          <directory>|{ … }
//	    secret          <secret>
//	    previous_secret <secret>
//	    local_dir       <directory>
//	    local_size      <size>
//	}
//
// bucket is as in the global option mini_vercel. Write secrets as placeholders
// such as {env.EDGE_SECRET}, so that they do not stand in the configuration.
func (s *Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is there twice", name)
		}
		seen[name] = true
		if name == "bucket" {
			if err := s.Bucket.UnmarshalCaddyfile(d); err != nil {
				return err
			}
			continue
		}
		var value string
		if !d.Args(&value) || d.NextArg() {
			return d.ArgErr()
		}
		switch name {
		case "secret":
			s.Secret = value
		case "previous_secret":
			s.PreviousSecret = value
		case "local_dir":
			s.LocalDir = value
		case "local_size":
			if err := setSize(d, name, value, &s.LocalSize); err != nil {
				return err
			}
		default:
			return d.Errf("unknown option %q of the storage bucket", name)
		}
	}
	return nil
}

// Interface guards.
var (
	_ caddy.StorageConverter = (*Storage)(nil)
	_ caddy.Provisioner      = (*Storage)(nil)
	_ caddy.CleanerUpper     = (*Storage)(nil)
	_ caddyfile.Unmarshaler  = (*Storage)(nil)
)
