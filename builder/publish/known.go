package publish

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// askKnown asks which files the project's kept deployments have, some thousand
// at a time.
func askKnown(ctx context.Context, client *Client, project string, files map[site.Hash]*file) (map[site.Hash]site.KnownBlob, error) {
	hashes := slices.SortedFunc(maps.Keys(files), func(a, b site.Hash) int { return bytes.Compare(a[:], b[:]) })
	known := make(map[site.Hash]site.KnownBlob)
	for batch := range slices.Chunk(hashes, site.MaxKnownHashes) {
		var answer site.KnownResponse
		err := client.Do(ctx, Call{
			Method: http.MethodPost, Path: "/projects/" + project + "/blobs/known",
			In: site.KnownRequest{Hashes: batch}, Out: &answer,
		})
		if err != nil {
			return nil, err
		}
		for _, b := range answer.Blobs {
			known[b.SHA256] = b
		}
	}
	return known, nil
}
