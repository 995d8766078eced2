package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// comparedManifests is how many earlier manifests a new one is compared with:
// for files that are known, and for paths whose bytes changed.
const comparedManifests = 10

// What a manifest may take of an edge's memory, which all tenants share: so much
// for each file that a deployment may have, three times of what one takes, and so
// much besides.
const (
	fileMemory     = 512
	manifestMemory = 16 << 20
)

// PutManifest takes a deployment's manifest in, in the encoding of
// [site.Manifest], and compiles its rules. It may be repeated until the
// deployment is published. It returns which lines of the rules were left out.
func (s *Service) PutManifest(ctx context.Context, a Actor, id string, encoded []byte) ([]Warning, error) {
	if len(encoded) > site.MaxManifestSize {
		return nil, Errorf(CodeTooLarge, "The manifest has %s, the most is %s.", mebibytes(int64(len(encoded))), mebibytes(site.MaxManifestSize))
	}
	t, err := s.uploading(ctx, a, id)
	if err != nil {
		return nil, err
	}
	// A large one takes some hundred MiB for a moment: few at a time.
	select {
	case s.decoding <- struct{}{}:
		defer func() { <-s.decoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := site.DecodeManifest(encoded)
	if err != nil {
		return nil, Invalid("manifest", "%s", sentence(err.Error()))
	}
	if err := s.checkManifest(m); err != nil {
		return nil, err
	}
	m.Meta.Source = sourceOf(t.d, m.Meta.Source)
	m.Meta.Made = site.Made{At: t.d.CreatedAt, Kind: string(t.d.Kind), Message: t.d.Message}
	if m, err = s.clearImmutable(ctx, t.p.ID, m); err != nil {
		return nil, err
	}
	problems, err := m.Compile(site.Serving{HTMLHandling: t.p.HTMLHandling, NotFound: t.p.NotFound, EarlyHints: t.p.EarlyHints, StrictRules: t.p.StrictRules})
	warnings := warningsOf(problems)
	if a.Attempt == nil && !slices.Equal(warnings, t.d.Warnings) {
		s.logWarnings(ctx, t.d, warnings) // a builder writes them itself
	}
	if err != nil {
		return warnings, s.refuseRules(ctx, a, id, warnings, err)
	}
	if encoded, err = m.Encode(); err != nil {
		return nil, fmt.Errorf("manifest of deployment %s: %w", id, err)
	}
	return warnings, s.keepManifest(ctx, a, id, m, encoded, warnings)
}

// keepManifest writes the manifest to the bucket. The project's lock keeps a
// late call from overwriting what was published meanwhile; so does the condition
// of the write, where the lock was lost with the connection to the database.
func (s *Service) keepManifest(ctx context.Context, a Actor, id string, m *site.Manifest, encoded []byte, warnings []Warning) (err error) {
	t, err := s.uploading(ctx, a, id)
	if err != nil {
		return err
	}
	ctx, unlock, err := s.store.LockProject(ctx, t.p.ID)
	if err != nil {
		return err
	}
	defer unlock()
	defer func() { err = whyEnded(ctx, err) }()
	if t, err = s.uploading(ctx, a, id); err != nil {
		return err
	}
	key := site.ManifestKey(t.p.ID, id)
	s.manifests.drop(key)
	err = s.putManifest(ctx, key, encoded, func() error { _, err := s.uploading(ctx, a, id); return err })
	if err != nil {
		s.manifests.drop(key) // it may have been written all the same
		return err
	}
	hash := site.HashOf(encoded)
	s.manifests.put(key, encodedManifest{m, hash})
	s.uploads.drop(id)
	return s.update(ctx, func(tx Tx, n *notes) error {
		if t, err = s.target(tx, a, id); err != nil {
			return err
		}
		now := s.now()
		t.d.HasManifest, t.d.ManifestHash, t.d.HeardAt, t.d.UpdatedAt = true, hash.String(), now, now
		n.manifests = append(n.manifests, key)
		t.d.Files, t.d.Bytes = m.Len(), m.TotalSize()
		t.d.Warnings = warnings
		ok, err := tx.SaveDeployment(t.d, StatusInProgress, t.d.Attempt)
		if err == nil && !ok {
			err = Errorf(CodeConflict, "The deployment has ended meanwhile.")
		}
		return err
	})
}

// putManifest writes a manifest where none is, or over the one that stands there
// if that may still be replaced then.
func (s *Service) putManifest(ctx context.Context, key string, encoded []byte, mayReplace func() error) error {
	put := func(o blob.PutOptions) error {
		_, err := s.bucket.Put(ctx, key, bytes.NewReader(encoded), int64(len(encoded)), o)
		return err
	}
	err := put(blob.PutOptions{IfNoneMatch: true})
	if errors.Is(err, blob.ErrPrecondition) {
		var before blob.Info
		if before, err = s.bucket.Stat(ctx, key); err != nil {
			return fmt.Errorf("look at manifest %s: %w", key, err)
		}
		if err := mayReplace(); err != nil {
			return err
		}
		err = put(blob.PutOptions{IfMatch: before.ETag})
	}
	if errors.Is(err, blob.ErrPrecondition) {
		return Errorf(CodeConflict, "Another manifest was handed in at the same time: hand yours in again.")
	}
	if err != nil {
		return fmt.Errorf("write manifest %s: %w", key, err)
	}
	return nil
}

// checkManifest applies the limits of a deployment and names what is over them.
func (s *Service) checkManifest(m *site.Manifest) error {
	limits := s.config.Limits
	if m.Len() == 0 {
		return Invalid("manifest", "The deployment has no files.")
	}
	if m.Len() > limits.Files {
		return Invalid("manifest", "The deployment has %d files, the most is %d.", m.Len(), limits.Files)
	}
	checked := map[string]bool{}
	for f := range m.Files() {
		if size := f.Blob(site.Identity).Size(); size > limits.FileBytes {
			return Invalid("manifest", "The file %s has %s, the most is %s.", f.Path(), mebibytes(size), mebibytes(limits.FileBytes))
		}
		if t := f.ContentType(); !checked[t] {
			if len(t) > 255 || !strings.Contains(t, "/") || !printable(t) || !isASCII(t) {
				return Invalid("manifest", "The file %s has the content type %q, which is none.", f.Path(), t)
			}
			checked[t] = true
		}
	}
	for name, text := range map[string]string{site.ConfigName: m.Meta.Rules.Config, site.RedirectsName: m.Meta.Rules.Redirects, site.HeadersName: m.Meta.Rules.Headers} {
		if len(text) > site.MaxRuleFile {
			return Invalid("manifest", "The file %s has %d bytes, the most is %d.", name, len(text), site.MaxRuleFile)
		}
	}
	if size, most := m.MemorySize(), int64(limits.Files)*fileMemory+manifestMemory; size > most {
		return Invalid("manifest", "The manifest takes %s at each edge, the most is %s: shorten the paths, or deploy fewer files.", mebibytes(size), mebibytes(most))
	}
	if total := m.TotalSize(); total > limits.DeploymentBytes {
		return Invalid("manifest", "The deployment has %s, the most is %s.", mebibytes(total), mebibytes(limits.DeploymentBytes))
	}
	return nil
}

// sourceOf is what a manifest says of its origin: for a build, only what its
// events reported.
func sourceOf(d *DeploymentRow, said site.Source) site.Source {
	source := d.Source
	source.BuiltAt = said.BuiltAt
	if source.Framework == "" {
		source.Framework = cut(strings.ToValidUTF8(said.Framework, ""), 100)
	}
	return source
}

// clearImmutable takes the mark off every path whose bytes differ from those of
// an earlier deployment: browsers would keep the old ones for a year.
func (s *Service) clearImmutable(ctx context.Context, project string, m *site.Manifest) (*site.Manifest, error) {
	marked := 0
	for f := range m.Files() {
		if f.Immutable() {
			marked++
		}
	}
	if marked == 0 {
		return m, nil
	}
	changed := map[int]bool{}
	err := s.eachKept(ctx, project, func(old *site.Manifest) bool {
		at := 0 // both are sorted by path
		for f := range m.Files() {
			if !f.Immutable() {
				continue
			}
			for at < old.Len() && old.File(at).Path() < f.Path() {
				at++
			}
			if at == old.Len() {
				break
			}
			if o := old.File(at); o.Path() == f.Path() && o.Blob(site.Identity).SHA256() != f.Blob(site.Identity).SHA256() {
				changed[f.Index()] = true
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(changed) == 0 {
		return m, nil
	}
	entries := make([]site.FileEntry, m.Len())
	for i := range entries {
		entries[i] = m.File(i).Entry()
		entries[i].Immutable = entries[i].Immutable && !changed[i]
	}
	return site.NewManifest(m.Meta, entries)
}

// eachKept shows the newest manifests of a project's ready deployments, newest
// first, until seen has enough. Only one is held at a time: together they may
// be larger than the memory. One that the bucket has lost, or that is damaged,
// holds nobody up who deploys again.
func (s *Service) eachKept(ctx context.Context, project string, seen func(*site.Manifest) (more bool)) error {
	var ids []string
	err := s.store.View(ctx, func(tx Tx) (err error) {
		ids, err = tx.KeptManifests(project, false, comparedManifests)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		m, err := s.manifest(ctx, project, id)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errManifest) {
			s.log.Warn("a deployment's manifest can't be compared with", "project", project, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		if !seen(m) {
			return nil
		}
	}
	return nil
}

// KnownBlobs says which files, by the hash of their bytes, the project's newest
// deployments have, with their types and variants.
func (s *Service) KnownBlobs(ctx context.Context, a Actor, projectID string, hashes []site.Hash) ([]site.KnownBlob, error) {
	if len(hashes) > site.MaxKnownHashes {
		return nil, Invalid("hashes", "Ask for at most %d at once; these are %d.", site.MaxKnownHashes, len(hashes))
	}
	project, err := s.actorProject(ctx, a, projectID)
	if err != nil {
		return nil, err
	}
	select {
	case s.decoding <- struct{}{}:
		defer func() { <-s.decoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	wanted := make(map[site.Hash]struct{}, len(hashes))
	for _, h := range hashes {
		wanted[h] = struct{}{}
	}
	known := []site.KnownBlob{}
	err = s.eachKept(ctx, project, func(m *site.Manifest) bool {
		for f := range m.Files() {
			h := f.Blob(site.Identity).SHA256()
			if _, ok := wanted[h]; ok {
				delete(wanted, h)
				known = append(known, knownBlob(f))
			}
		}
		return len(wanted) > 0
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}

func knownBlob(f site.File) site.KnownBlob {
	k := site.KnownBlob{SHA256: f.Blob(site.Identity).SHA256(), ContentType: f.ContentType()}
	for _, e := range site.Variants {
		if f.Has(e) {
			b := f.Blob(e).Entry()
			k.Variants = append(k.Variants, site.VariantBlob{Encoding: e.String(), SHA256: b.SHA256, Size: b.Size, Chunks: b.Chunks})
		}
	}
	return k
}

// actorProject returns the id of the project that an actor may ask about.
func (s *Service) actorProject(ctx context.Context, a Actor, id string) (project string, err error) {
	if a.Attempt != nil {
		if a.Attempt.Project != id || a.Attempt.Detection {
			return "", Errorf(CodeNotFound, "There is no project %s.", id)
		}
		return id, nil
	}
	if a.Principal == nil {
		return "", Errorf(CodeUnauthorized, "Sign in first.")
	}
	if err := a.Principal.Allows(ScopeDeploy); err != nil {
		return "", err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		p, err := ownProject(tx, *a.Principal, id)
		if err == nil {
			project = p.ID
		}
		return err
	})
	return project, err
}

// mebibytes writes a size for people.
func mebibytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
