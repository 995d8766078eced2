package controlplane

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestPasswordHashesArePHCStringsOfArgon2id(t *testing.T) {
	h := newPasswordHasher()
	one, err := h.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.hash(t.Context(), "correct horse")
	if err != nil || one == two {
		t.Fatalf("the same salt twice: %v", err)
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(one)
	}
	for _, row := range []struct {
		name, hash, password string
		good                 bool
	}{
		{"the right one", one, "correct horse", true},
		{"a wrong one", one, "correct horses", false},
		{"an empty one", one, "", false},
		{"a very long one", one, "correct horse" + strings.Repeat("x", 100_000), false},
		{"of an account without one", "", "correct horse", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			good, old, err := h.verify(t.Context(), row.hash, row.password)
			if err != nil || good != row.good || old {
				t.Fatalf("good %v, old %v, %v", good, old, err)
			}
		})
	}
}

func TestHashesOfOtherParametersAreReadAndCalledOld(t *testing.T) {
	before := newPasswordHasher()
	before.params = argonParams{memoryKiB: 8 << 10, time: 1, threads: 1}
	hash, err := before.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	good, old, err := newPasswordHasher().verify(t.Context(), hash, "correct horse")
	if err != nil || !good || !old {
		t.Fatalf("good %v, old %v, %v", good, old, err)
	}
	for _, broken := range []string{"x", "$argon2i$v=19$m=1,t=1,p=1$AA$AA", "$argon2id$v=19$m=99999999,t=1,p=1$AA$AA", "$argon2id$v=19$m=19456,t=2,p=1$AA$AA"} {
		if _, _, err := before.verify(t.Context(), broken, "x"); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestAtMostTwoPasswordsAreHashedAtOnce(t *testing.T) {
	h := newPasswordHasher()
	for range hashesAtOnce {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := h.hash(ctx, "correct horse"); CodeOf(err) != CodeUnavailable {
		t.Fatalf("a third one began: %v", err)
	}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			if _, err := h.hash(t.Context(), "correct horse"); err != nil {
				t.Error(err)
			}
		})
	}
	for range hashesAtOnce {
		<-h.slots
	}
	done.Wait()
	if len(h.slots) != 0 {
		t.Errorf("%d slots are still taken", len(h.slots))
	}
}

// An unknown account costs the same work, so that time does not tell which
// addresses have one. Work is compared, not time: the dummy has the parameters
// of every new hash, and takes the same way.
func TestAnUnknownAccountCostsTheSameWork(t *testing.T) {
	h := newPasswordHasher()
	dummy, err := site.ParsePasswordHash(h.dummy)
	if err != nil || dummy.String() != h.params.phc(dummy.Salt, dummy.Key) || len(dummy.Salt) != saltSize {
		t.Fatalf("%+v, %v", dummy, err)
	}
	for range hashesAtOnce {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := h.verify(ctx, "", "x"); CodeOf(err) != CodeUnavailable {
		t.Fatalf("an unknown account does not wait for its turn: %v", err)
	}
}

func TestPasswordRules(t *testing.T) {
	for _, row := range []struct {
		password string
		good     bool
	}{
		{"1234567", false},
		{"12345678", true},
		{"äöüßäöüß", true},
		{"äöüßäöü", false},
		{strings.Repeat("x", 256), true},
		{strings.Repeat("x", 257), false},
		{"Me@example.com", false},
	} {
		if err := checkPassword(row.password, "me@example.com"); (err == nil) != row.good {
			t.Errorf("%q: %v", row.password, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"a@example.com": true, "a@localhost": true, "a+b@example.com": true, "ä@example.com": true,
		"": false, "a": false, "@example.com": false, "a@": false, "a@b@c": false, "a b@example.com": false,
		"a@exam ple.com": false, "a\n@example.com": false, "a\x00@example.com": false, "\xff@example.com": false,
		strings.Repeat("a", 250) + "@example.com": false,
	} {
		if err := checkEmail(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}
