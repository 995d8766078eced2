package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// Bucket says which bucket a module uses: a directory, or one at R2 or any other
// service that speaks S3. Placeholders such as {env.R2_SECRET_ACCESS_KEY} are
// replaced when it is opened, so that no secret has to stand in a configuration.
type Bucket struct {
	// The directory that is the bucket. It excludes all other fields.
	Directory string `json:"directory,omitempty"`

	// The name of the bucket at a service that speaks S3.
	Name string `json:"name,omitempty"`

	// The Cloudflare account whose R2 has the bucket; the endpoint follows from it.
	AccountID string `json:"account_id,omitempty"`

	// The address of the service, such as https://s3.example.com. Without it and
	// without an account_id the bucket is AWS's.
	Endpoint string `json:"endpoint,omitempty"`

	// The region of the bucket. Default: what the environment says (AWS_REGION),
	// else auto, which is right for R2.
	Region string `json:"region,omitempty"`

	// The two parts of the key that reads the bucket. Default: what the SDK of
	// AWS finds in the environment, in its shared files, or as the machine's role.
	AccessKeyID     string `json:"access_key_id,omitempty"`
	SecretAccessKey string `json:"secret_access_key,omitempty"`
}

// UnmarshalJSON also takes a string, which is a directory.
func (b *Bucket) UnmarshalJSON(encoded []byte) error {
	if len(encoded) > 0 && encoded[0] == '"' {
		return json.Unmarshal(encoded, &b.Directory)
	}
	type fields Bucket
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.DisallowUnknownFields()
	return d.Decode((*fields)(b))
}

// BucketStore is an open bucket.
type BucketStore interface {
	blob.Store
	io.Closer
}

// Check says what is missing or contradictory. It opens nothing.
func (b Bucket) Check() error {
	b = b.replaced()
	switch others := (Bucket{Directory: b.Directory}); {
	case b == Bucket{}:
		return errors.New("bucket is not set: name the directory that is the bucket, or the name of one at R2 or S3")
	case b.Directory != "" && b != others:
		return errors.New("bucket: a directory has no name, endpoint or key")
	case b.Directory != "":
		return nil
	case b.AccountID != "" && b.Endpoint != "":
		return errors.New("bucket: account_id and endpoint both say where it is: use one")
	}
	if err := b.options().Check(); err != nil {
		return fmt.Errorf("bucket: %w", err)
	}
	return nil
}

// Identity names the bucket, without a secret, for what modules keep and share
// for it. It opens nothing.
func (b Bucket) Identity() (string, error) {
	b = b.replaced()
	if b.Directory == "" {
		return b.options().Identity(), nil
	}
	path, err := filepath.Abs(b.Directory)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // so that one directory has one name
	}
	return "dir:" + path, nil
}

// Open opens the bucket. maxAttempts is how often a request is made at most; 0
// leaves it to the store. A directory is made where it does not exist; a bucket
// at a service that is not there shows itself at the first request.
func (b Bucket) Open(ctx context.Context, maxAttempts int) (BucketStore, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	b = b.replaced()
	if b.Directory != "" {
		return blob.OpenDir(b.Directory, blob.DirOptions{})
	}
	o := b.options()
	o.MaxAttempts = maxAttempts
	return blob.OpenS3(ctx, *o)
}

// pollInterval is how often the bucket is asked for changes: asking a directory
// costs one system call.
func (b Bucket) pollInterval() time.Duration {
	if b.Directory != "" {
		return 100 * time.Millisecond
	}
	return time.Second
}

func (b Bucket) options() *blob.S3Options {
	o := &blob.S3Options{
		Bucket: b.Name, Endpoint: b.Endpoint, Region: b.Region, AccessKeyID: b.AccessKeyID, SecretAccessKey: b.SecretAccessKey,
	}
	if b.AccountID != "" {
		o.Endpoint = blob.R2Endpoint(b.AccountID)
		if o.Region == "" {
			o.Region = "auto" // AWS_REGION may be there for something else
		}
	}
	return o
}

func (b Bucket) replaced() Bucket {
	r := caddy.NewReplacer()
	for _, field := range []*string{&b.Directory, &b.Name, &b.AccountID, &b.Endpoint, &b.Region, &b.AccessKeyID, &b.SecretAccessKey} {
		*field = r.ReplaceKnown(*field, "") // a secret may have braces
	}
	return b
}

// UnmarshalCaddyfile reads a bucket from its option, in one of two forms:
//
//	bucket <directory>
//	bucket {
//	    directory         <directory>
//	    name              <name>
//	    account_id        <Cloudflare account>
//	    endpoint          <URL>
//	    region            <region>
//	    access_key_id     <id>
//	    secret_access_key <secret>
//	}
//
// Of account_id and endpoint there is one, or none for AWS. A placeholder whose
// variable is not set counts as an option that is not there.
func (b *Bucket) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	option := d.Val()
	if d.NextArg() {
		b.Directory = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
		if nesting := d.Nesting(); d.NextBlock(nesting) {
			return d.Errf("%s is either a directory or a block", option)
		}
		return nil
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		field := b.field(name)
		switch {
		case field == nil:
			return d.Errf("unknown option %q of %s", name, option)
		case seen[name]:
			return d.Errf("%s is there twice", name)
		case !d.Args(field) || d.NextArg():
			return d.ArgErr()
		}
		seen[name] = true
	}
	if len(seen) == 0 {
		return d.ArgErr()
	}
	return nil
}

// field is where an option of the block goes; nil for one that is unknown.
func (b *Bucket) field(option string) *string {
	switch option {
	case "directory":
		return &b.Directory
	case "name":
		return &b.Name
	case "account_id":
		return &b.AccountID
	case "endpoint":
		return &b.Endpoint
	case "region":
		return &b.Region
	case "access_key_id":
		return &b.AccessKeyID
	case "secret_access_key":
		return &b.SecretAccessKey
	}
	return nil
}
