package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Run publishes a folder as a deployment and returns when it is READY. Its
// errors are sentences for the person who deploys; a refusal by the control
// plane has an [*APIError] in its chain, a file that was written to meanwhile a
// [*ChangedError]. Run may be called again for the same deployment.
func Run(ctx context.Context, client *Client, o Options) (Result, error) {
	folder := o.Folder
	if folder == nil {
		var err error
		if folder, err = Scan(ctx, o.Dir, o.Limits); err != nil {
			return Result{}, err
		}
	}
	root, err := os.OpenRoot(folder.Dir)
	if err != nil {
		return Result{}, fmt.Errorf("folder %s: %w", folder.Dir, cause(err))
	}
	defer root.Close()
	r := &run{
		options: o,
		client:  client,
		folder:  folder,
		root:    root,
		report:  newMeter(o.Progress),
		spool:   &spool{parent: o.SpoolDir},
	}
	defer r.spool.close()
	return r.run(ctx)
}

// run is one publication.
type run struct {
	options Options
	client  *Client
	folder  *Folder
	root    *os.Root
	report  *meter
	spool   *spool

	blobs    []site.BlobEntry             // by file
	types    []string                     // by file
	hints    [][]string                   // by file
	known    map[site.Hash]site.KnownBlob // files that were deployed before
	contents map[site.Hash]*content       // files that were not, and are compressed now
	variants map[site.Hash]*stored        // what they became
	bodies   map[site.Hash]*file          // where the bytes of a file's hash are
	result   Result
	warned   bool // of what the manifest's rules have wrong
}

func (r *run) run(ctx context.Context) (Result, error) {
	meta, globs, err := r.meta()
	if err != nil {
		return r.result, err
	}
	if r.blobs, r.hints, err = hashFiles(ctx, r.root, r.folder, r.report); err != nil {
		return r.result, err
	}
	immutable, err := newImmutables(r.root, r.folder, globs, r.options.Framework)
	if err != nil {
		return r.result, err
	}
	r.bodies = make(map[site.Hash]*file, len(r.blobs))
	r.types = make([]string, len(r.blobs))
	for i := range r.blobs {
		r.bodies[r.blobs[i].SHA256] = &r.folder.files[i]
		r.types[i] = site.ContentType("/" + r.folder.files[i].name)
	}
	r.result.Files, r.result.Bytes = r.folder.Len(), r.folder.Bytes()
	if r.known, err = askKnown(ctx, r.client, r.options.Project, r.bodies); err != nil {
		return r.result, err
	}
	if err := r.compress(ctx); err != nil {
		return r.result, err
	}
	if err := r.handIn(ctx, meta, immutable); err != nil {
		return r.result, err
	}
	if err := r.upload(ctx, meta, immutable); err != nil {
		return r.result, err
	}
	r.report.begin(StepPublish, 1, 0)
	var deployment json.RawMessage
	err = r.client.Do(ctx, Call{Method: http.MethodPost, Path: r.path("publish"), Out: &deployment, Timeout: 2 * time.Minute})
	if err != nil {
		return r.result, err
	}
	r.report.end()
	r.result.Deployment = deployment
	return r.result, nil
}

func (r *run) path(call string) string { return "/deployments/" + r.options.Deployment + "/" + call }

// meta completes the manifest's facts by what the folder says itself.
func (r *run) meta() (site.Meta, []string, error) {
	meta := r.options.Meta
	config := meta.Rules.Config
	meta.Rules = r.folder.Rules
	parsed := r.folder.Config
	if config != "" {
		var err error
		if parsed, err = site.ParseConfig([]byte(config)); err != nil {
			return meta, nil, err
		}
		meta.Rules.Config = config
	}
	if parsed.HTMLHandling != "" {
		meta.HTMLHandling = parsed.HTMLHandling
	}
	if parsed.NotFound != "" {
		meta.NotFound = parsed.NotFound
	}
	return meta, parsed.Immutable, nil
}

// compress makes the variants of every file that no kept deployment knows.
func (r *run) compress(ctx context.Context) error {
	r.contents = map[site.Hash]*content{}
	var list []*content
	for i, b := range r.blobs {
		if b.Size < leastCompressed || !compressible(r.types[i]) {
			continue
		}
		if known, ok := r.known[b.SHA256]; ok && compressible(known.ContentType) {
			continue
		}
		x := r.contents[b.SHA256]
		if x == nil {
			x = &content{BlobEntry: b, file: &r.folder.files[i]}
			r.contents[b.SHA256] = x
			list = append(list, x)
		}
		x.most = x.most || servedMost(r.types[i])
	}
	budget := r.options.Budget
	if budget == 0 {
		budget = DefaultBudget
	}
	c := &compressor{root: r.root, spool: r.spool, report: r.report, deadline: time.Now().Add(budget)}
	if err := c.run(ctx, list); err != nil {
		return err
	}
	r.result.CompressedFiles += len(list)
	if r.variants == nil {
		r.variants = map[site.Hash]*stored{}
	}
	for _, x := range list {
		for _, v := range x.variants {
			if v != nil {
				r.variants[v.SHA256] = v
			}
		}
	}
	return nil
}

// handIn puts the manifest together and gives it to the control plane.
func (r *run) handIn(ctx context.Context, meta site.Meta, immutable *immutables) error {
	entries := make([]site.FileEntry, len(r.blobs))
	for i := range r.blobs {
		f := &r.folder.files[i]
		entries[i] = site.FileEntry{Path: "/" + f.name, ContentType: r.types[i], Immutable: immutable.has(f.name), Body: r.blobs[i], Hints: r.hints[i]}
		if r.blobs[i].Size < leastCompressed || !compressible(r.types[i]) {
			continue
		}
		if x := r.contents[r.blobs[i].SHA256]; x != nil {
			for enc, v := range x.variants {
				if v != nil {
					entries[i].Variants[enc] = &v.BlobEntry
				}
			}
			continue
		}
		known := r.known[r.blobs[i].SHA256]
		for _, v := range known.Variants {
			for _, enc := range site.Variants {
				if enc.String() == v.Encoding {
					entries[i].Variants[enc] = &site.BlobEntry{SHA256: v.SHA256, Size: v.Size, Chunks: v.Chunks}
				}
			}
		}
	}
	manifest, err := site.NewManifest(meta, entries)
	if err != nil {
		return fmt.Errorf("put the manifest together: %w", err)
	}
	encoded, err := manifest.Encode()
	if err != nil {
		return err
	}
	if len(encoded) > site.MaxManifestSize {
		return fmt.Errorf("the manifest of %d files has %s, the most is %s; publish fewer files", len(entries), Bytes(int64(len(encoded))), Bytes(site.MaxManifestSize))
	}
	var answer []byte
	err = r.client.Do(ctx, Call{
		Method: http.MethodPut, Path: r.path("manifest"),
		Body: encoded, Type: site.ManifestContentType, Out: &answer, Timeout: 2 * time.Minute,
	})
	if err != nil || r.warned {
		return err
	}
	r.warned = true
	return r.warn(answer)
}

// warn tells of lines of rules that the control plane left out.
func (r *run) warn(answer []byte) error {
	if len(answer) == 0 {
		return nil // it tells nothing
	}
	var taken site.ManifestResponse
	if err := json.Unmarshal(answer, &taken); err != nil {
		return fmt.Errorf("the control plane's answer to the manifest can't be read: %w", err)
	}
	if r.options.Warn != nil {
		for _, w := range taken.Warnings {
			r.options.Warn("Warning: " + w.String())
		}
	}
	return nil
}
