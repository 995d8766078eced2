package storetest

import (
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func testSubjects(t *testing.T, s *suite) {
	u := &controlplane.UserRow{
		User:         controlplane.User{ID: "u1", Email: "ada@example.com", Name: "Ada", Admin: true, CreatedAt: s.now},
		PasswordHash: "$argon2id$", Subject: "s1", TokensFrom: s.now.Add(time.Minute), DisabledAt: s.now.Add(time.Hour),
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertUser(u) })
	s.view(func(tx controlplane.Tx) error {
		got, err := tx.UserBySubject("s1")
		s.same("user", got, u)
		_, missing := tx.UserBySubject("s2")
		s.missing(missing)
		_, missing = tx.UserBySubject("") // whoever has none
		s.missing(missing)
		return err
	})
	second := &controlplane.UserRow{User: controlplane.User{ID: "u2", Email: "eve@example.com", CreatedAt: s.now}}
	s.update(func(tx controlplane.Tx) error { return tx.InsertUser(second) })
	s.update(func(tx controlplane.Tx) error {
		third := &controlplane.UserRow{User: controlplane.User{ID: "u3", Email: "bob@example.com", CreatedAt: s.now}}
		return tx.InsertUser(third) // many have none
	})
	second.Subject = "s1"
	if err := s.Update(t.Context(), func(tx controlplane.Tx) error { return tx.SaveUser(second) }); err == nil {
		t.Fatal("two accounts have one Supabase user")
	}
	u.Subject, u.DisabledAt = "s3", time.Time{}
	s.update(func(tx controlplane.Tx) error { return tx.SaveUser(u) })
	s.view(func(tx controlplane.Tx) error {
		got, err := tx.User("u1")
		s.same("user", got, u)
		return err
	})
}

func testSessionFields(t *testing.T, s *suite) {
	s.update(func(tx controlplane.Tx) error {
		return tx.InsertUser(&controlplane.UserRow{User: controlplane.User{ID: "u1", Email: "ada@example.com", CreatedAt: s.now}})
	})
	for _, want := range []*controlplane.SessionRow{
		{Hash: "h1", UserID: "u1", CreatedAt: s.now, ExpiresAt: s.now.Add(time.Hour), Supabase: true},
		{Hash: "h2", UserID: "u1", CreatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)},
	} {
		s.update(func(tx controlplane.Tx) error { return tx.PutSession(want) })
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Session(want.Hash)
			s.same("session", got, want)
			return err
		})
	}
}

func testSupabaseKeys(t *testing.T, s *suite) {
	read := func(issuer, want string) {
		t.Helper()
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.SupabaseKeys(issuer)
			if string(got) != want {
				t.Errorf("%s has %q instead of %q", issuer, got, want)
			}
			return err
		})
	}
	keep := func(issuer, set string) {
		t.Helper()
		s.update(func(tx controlplane.Tx) error { return tx.KeepSupabaseKeys(issuer, []byte(set), s.now) })
	}
	read("https://a.example/auth/v1", "")
	keep("https://a.example/auth/v1", `{"keys":[]}`)
	keep("https://b.example/auth/v1", `{"keys":[1]}`)
	keep("https://a.example/auth/v1", `{"keys":[2]}`)
	read("https://a.example/auth/v1", `{"keys":[2]}`)
	read("https://b.example/auth/v1", `{"keys":[1]}`)
	read("https://c.example/auth/v1", "")
}
