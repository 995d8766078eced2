package site

import "time"

// The upload protocol, which builder and CLI share:
//
//  1. POST /projects/{id}/blobs/known: which of these files does the project
//     know already, so that nothing is compressed twice.
//  2. PUT /deployments/{id}/manifest: the manifest, in its own encoding.
//  3. POST /deployments/{id}/uploads, until it answers an empty list, with a
//     PUT of each blob to its URL.
//  4. POST /deployments/{id}/publish, which is idempotent.

// ManifestResponse is the answer to a manifest that was taken in.
type ManifestResponse struct {
	Warnings []Problem `json:"warnings"` // lines of rules that were left out
}

// MaxKnownHashes is how many hashes one question about known blobs may name.
const MaxKnownHashes = 10_000

// MaxUploads is how many upload URLs one answer holds.
const MaxUploads = 1000

// UploadURLTime is how long an upload URL is good for.
const UploadURLTime = 15 * time.Minute

// KnownRequest asks about files by the hash of their identity bytes.
type KnownRequest struct {
	Hashes []Hash `json:"hashes"`
}

// KnownResponse lists those that a kept manifest of the project has. What is
// missing from it is not known.
type KnownResponse struct {
	Blobs []KnownBlob `json:"blobs"`
}

// KnownBlob is a file that was deployed before, with the variants it got then;
// none at all where compression was tried and saved too little.
type KnownBlob struct {
	SHA256      Hash          `json:"sha256"`
	ContentType string        `json:"contentType"`
	Variants    []VariantBlob `json:"variants,omitempty"`
}

// VariantBlob is one compressed variant of a known file.
type VariantBlob struct {
	Encoding string `json:"encoding"` // br, zstd or gzip
	SHA256   Hash   `json:"sha256"`
	Size     int64  `json:"size"`
	Chunks   []Hash `json:"chunks,omitempty"`
}

// UploadsResponse lists blobs of a deployment that the bucket lacks; none: all
// are there, and the deployment can be published.
type UploadsResponse struct {
	Uploads []Upload `json:"uploads"`
	Missing int      `json:"missing"` // how many are missing in all, these included
}

// Upload is one blob that is missing, with the URL that takes exactly its bytes.
type Upload struct {
	SHA256 Hash  `json:"sha256"`
	Size   int64 `json:"size"`
	URL
}

// URL is a signed URL of the bucket. It may be relative to the API's address.
type URL struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Expires time.Time         `json:"expires"`
}
