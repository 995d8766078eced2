package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// statInstead is up to how many blobs are looked up one by one; for more, the
// project's blobs are listed.
const statInstead = 32

// statsAtOnce is how many of them are looked up at the same time: at S3 each
// takes tens of milliseconds.
const statsAtOnce = 8

// blobRef is one blob that a deployment needs.
type blobRef struct {
	hash site.Hash
	size int64
}

// uploadSession remembers which of a deployment's blobs were missing, so that
// the bucket is listed once, not for every page of URLs.
type uploadSession struct {
	mu      sync.Mutex
	of      uploadOf
	known   bool      // what follows was read from the bucket
	missing []blobRef // by hash
	next    int       // up to where URLs were handed out
}

// uploadOf is what a session is for: with a new manifest, which any control plane
// may have taken, other blobs are missing.
type uploadOf struct {
	attempt  int
	manifest string // its hash
}

// uploadSessions holds the sessions of the uploads that go on. One that was
// dropped is made anew from the bucket.
type uploadSessions struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, *uploadSession]
}

func newUploadSessions() *uploadSessions {
	u := &uploadSessions{}
	u.lru, _ = simplelru.NewLRU[string, *uploadSession](64, nil) // the error is for a size below 1
	return u
}

func (u *uploadSessions) of(d *DeploymentRow) *uploadSession {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := uploadOf{d.Attempt, d.ManifestHash}
	session, ok := u.lru.Get(d.ID)
	if !ok || session.of != of {
		session = &uploadSession{of: of}
		u.lru.Add(d.ID, session)
	}
	return session
}

func (u *uploadSessions) drop(deployment string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lru.Remove(deployment)
}

// Uploads returns signed URLs for the next missing blobs of a deployment, up to
// a thousand. Each call goes on where the one before ended; behind the last
// blob, those that did not arrive come again. None: all are there.
func (s *Service) Uploads(ctx context.Context, a Actor, id string) (*site.UploadsResponse, error) {
	t, err := s.uploading(ctx, a, id)
	if err != nil {
		return nil, err
	}
	if !t.d.HasManifest {
		return nil, Errorf(CodeConflict, "Hand in the manifest first.")
	}
	session := s.uploads.of(t.d)
	session.mu.Lock()
	defer session.mu.Unlock()
	first := !session.known
	var among []blobRef
	if first {
		m, err := s.handedIn(ctx, t.d)
		if err != nil {
			return nil, err
		}
		among = blobsOf(m)
	}
	if first || session.next >= len(session.missing) && session.next > 0 {
		// What was there stays: an upload that goes on keeps it from being freed.
		if !first {
			among = session.missing
		}
		if session.missing, err = s.missingBlobs(ctx, t.p.ID, among); err != nil {
			return nil, err
		}
		session.next, session.known = 0, true
	}
	if first {
		if err := s.noteUploads(ctx, a, id, len(session.missing)); err != nil {
			return nil, err
		}
	}
	response := &site.UploadsResponse{Uploads: []site.Upload{}, Missing: len(session.missing) - session.next}
	for _, b := range session.missing[session.next:min(session.next+site.MaxUploads, len(session.missing))] {
		signed, err := s.bucket.SignPut(ctx, site.BlobKey(t.p.ID, b.hash), b.size, b.hash, site.UploadURLTime)
		if err != nil {
			return nil, fmt.Errorf("sign upload of blob %s: %w", b.hash, err)
		}
		response.Uploads = append(response.Uploads, site.Upload{SHA256: b.hash, Size: b.size, URL: site.URL(signed)})
	}
	session.next += len(response.Uploads)
	return response, nil
}

// noteUploads keeps how many blobs a deployment had to upload.
func (s *Service) noteUploads(ctx context.Context, a Actor, id string, count int) error {
	if count == 0 {
		return nil
	}
	return s.update(ctx, func(tx Tx, n *notes) error {
		t, err := s.target(tx, a, id)
		if err != nil || t.d.UploadedBlobs >= count {
			return err
		}
		t.d.UploadedBlobs, t.d.UpdatedAt = count, s.now()
		_, err = tx.SaveDeployment(t.d, StatusInProgress, t.d.Attempt)
		n.deployments = append(n.deployments, t.d)
		return err
	})
}

// blobsOf lists a manifest's distinct blobs by hash.
func blobsOf(m *site.Manifest) []blobRef {
	all := []blobRef{}
	for b := range m.Blobs() {
		all = append(all, blobRef{b.SHA256(), b.Size()})
	}
	slices.SortFunc(all, func(a, b blobRef) int { return compareHash(a.hash, b.hash) })
	return all
}

// missingBlobs returns those of the blobs, which are sorted by hash, that the
// bucket lacks or holds with another size.
func (s *Service) missingBlobs(ctx context.Context, project string, all []blobRef) ([]blobRef, error) {
	missing := []blobRef{}
	if len(all) <= statInstead {
		lacks := make([]bool, len(all))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(statsAtOnce)
		for i, b := range all {
			g.Go(func() error {
				info, err := s.bucket.Stat(ctx, site.BlobKey(project, b.hash))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("look up blob %s: %w", b.hash, err)
				}
				lacks[i] = err != nil || info.Size != b.size
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		for i, b := range all {
			if lacks[i] {
				missing = append(missing, b)
			}
		}
		return missing, nil
	}
	prefix := site.BlobsPrefix(project)
	at := 0 // keys are listed in the order of their hashes
	for info, err := range s.bucket.List(ctx, prefix, blob.ListOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list blobs of project %s: %w", project, err)
		}
		hash, err := site.ParseHash(info.Key[len(prefix):])
		if err != nil {
			continue // not a blob: nothing of ours
		}
		for at < len(all) && compareHash(all[at].hash, hash) < 0 {
			missing = append(missing, all[at])
			at++
		}
		if at == len(all) {
			break
		}
		if all[at].hash == hash {
			if all[at].size != info.Size {
				missing = append(missing, all[at])
			}
			at++
		}
	}
	return append(missing, all[at:]...), nil
}

func compareHash(a, b site.Hash) int { return bytes.Compare(a[:], b[:]) }
