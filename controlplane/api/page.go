package api

import "github.com/mini-vercel/mini-vercel/controlplane"

// PageInput is the part of a list that is asked for. Inputs embed it, so it is
// exported: huma sees exported fields only.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many items, at most."`
	Cursor string `query:"cursor" maxLength:"200" doc:"What the page before has as next."`
}

func (p PageInput) page() controlplane.Page {
	return controlplane.Page{Limit: p.Limit, Cursor: p.Cursor}
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; none: this is the last."`
}

type pageOutput[T any] struct{ Body Page[T] }

func newPage[T any](items []T, next string) *pageOutput[T] {
	return &pageOutput[T]{Page[T]{Items: listed(items), Next: next}}
}

// listed is a list that is [] in JSON where it is empty, never null.
func listed[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// bodyOutput is an answer of one object.
type bodyOutput[T any] struct{ Body T }

func answer[T any](body T, err error) (*bodyOutput[T], error) {
	if err != nil {
		return nil, err
	}
	return &bodyOutput[T]{body}, nil
}

// empty is what operations without parameters take and those without an answer
// return.
type empty struct{}

func done(err error) (*empty, error) {
	if err != nil {
		return nil, err
	}
	return &empty{}, nil
}

type idInput struct {
	ID string `path:"id" maxLength:"100"`
}
