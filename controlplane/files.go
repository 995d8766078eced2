package controlplane

import (
	"context"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Files lists a deployment's files in the order of their paths. Next is the
// path to go on after, where there are more.
func (s *Service) Files(ctx context.Context, p Principal, id string, page FilePage) (files []FileInfo, next string, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, "", err
	}
	var row *DeploymentRow
	err = s.store.View(ctx, func(tx Tx) (err error) {
		row, _, err = ownDeployment(tx, p, id)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	files = []FileInfo{}
	if row.Status != StatusReady {
		return files, "", nil // nothing that would be served
	}
	m, err := s.manifest(ctx, row.ProjectID, row.ID)
	if err != nil {
		return nil, "", err
	}
	limit := page.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	from := page.Prefix
	if page.After != "" {
		from = max(from, page.After+"\x00")
	}
	for i, _ := m.Search(from); i < m.Len() && strings.HasPrefix(m.File(i).Path(), page.Prefix); i++ {
		if len(files) == limit {
			return files, files[limit-1].Path, nil
		}
		files = append(files, fileInfo(m.File(i)))
	}
	return files, "", nil
}

func fileInfo(f site.File) FileInfo {
	body := f.Blob(site.Identity)
	info := FileInfo{Path: f.Path(), Size: body.Size(), SHA256: body.SHA256(), ContentType: f.ContentType(), Immutable: f.Immutable()}
	for _, e := range site.Variants {
		if f.Has(e) {
			if info.Variants == nil {
				info.Variants = map[string]int64{}
			}
			info.Variants[e.String()] = f.Blob(e).Size()
		}
	}
	return info
}
