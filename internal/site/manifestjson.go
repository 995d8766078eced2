package site

import "encoding/json"

// MarshalJSON writes the manifest for people to read, as `mini-vercel manifest`
// shows it. It is not what the bucket holds.
func (m *Manifest) MarshalJSON() ([]byte, error) {
	type blob struct {
		SHA256 Hash   `json:"sha256"`
		Size   int64  `json:"size"`
		Chunks []Hash `json:"chunks,omitempty"`
	}
	type file struct {
		Path        string          `json:"path"`
		ContentType string          `json:"contentType"`
		Immutable   bool            `json:"immutable,omitempty"`
		Body        blob            `json:"body"`
		Variants    map[string]blob `json:"variants,omitempty"`
		EarlyHints  []string        `json:"earlyHints,omitempty"`
	}
	files := make([]file, 0, m.Len())
	for f := range m.Files() {
		out := file{Path: f.Path(), ContentType: f.ContentType(), Immutable: f.Immutable(), Body: blob(f.Blob(Identity).Entry()), EarlyHints: f.Hints()}
		for _, e := range Variants {
			if f.Has(e) {
				if out.Variants == nil {
					out.Variants = map[string]blob{}
				}
				out.Variants[e.String()] = blob(f.Blob(e).Entry())
			}
		}
		files = append(files, out)
	}
	return json.Marshal(struct {
		Meta
		Redirects   []Redirect   `json:"redirects,omitempty"`
		HeaderRules []HeaderRule `json:"headerRules,omitempty"`
		Files       []file       `json:"files"`
	}{m.Meta, m.redirects.All(), m.headers.All(), files})
}
