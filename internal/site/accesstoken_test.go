package site

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var (
	accessKey   = bytes.Repeat([]byte{7}, AccessKeySize)
	accessUntil = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
)

func TestAccessTokens(t *testing.T) {
	const host = "a--site.example.test"
	token := AccessToken(accessKey, AccessCookie, host, accessUntil)
	if len(token) != AccessTokenLength {
		t.Fatalf("%q has %d characters", token, len(token))
	}
	last := token[len(token)-1]
	for _, tt := range []struct {
		name        string
		key         []byte
		use         AccessTokenUse
		host, token string
		now         time.Time
		good        bool
	}{
		{"good", accessKey, AccessCookie, host, token, accessUntil.Add(-time.Hour), true},
		{"in its last second", accessKey, AccessCookie, host, token, accessUntil.Add(-time.Nanosecond), true},
		{"as it expires", accessKey, AccessCookie, host, token, accessUntil, false},
		{"expired", accessKey, AccessCookie, host, token, accessUntil.Add(time.Hour), false},
		{"for another use", accessKey, AccessShare, host, token, accessUntil.Add(-time.Hour), false},
		{"for another host", accessKey, AccessCookie, "b--site.example.test", token, accessUntil.Add(-time.Hour), false},
		{"of another key", bytes.Repeat([]byte{8}, AccessKeySize), AccessCookie, host, token, accessUntil.Add(-time.Hour), false},
		{"without a key", nil, AccessCookie, host, AccessToken(nil, AccessCookie, host, accessUntil), accessUntil.Add(-time.Hour), false},
		{"with a short key", accessKey[1:], AccessCookie, host, AccessToken(accessKey[1:], AccessCookie, host, accessUntil), accessUntil.Add(-time.Hour), false},
		{"empty", accessKey, AccessCookie, host, "", accessUntil.Add(-time.Hour), false},
		{"too short", accessKey, AccessCookie, host, token[1:], accessUntil.Add(-time.Hour), false},
		{"too long", accessKey, AccessCookie, host, token + "A", accessUntil.Add(-time.Hour), false},
		{"a later time", accessKey, AccessCookie, host, "B" + token[1:], accessUntil.Add(-time.Hour), false},
		{"another signature", accessKey, AccessCookie, host, token[:20] + strings.Repeat("A", AccessTokenLength-20), accessUntil.Add(-time.Hour), false},
		{"another alphabet", accessKey, AccessCookie, host, strings.Repeat("+", AccessTokenLength), accessUntil.Add(-time.Hour), false},
		// The last character has bits that encode nothing: one form is the token's.
		{"bits that don't count", accessKey, AccessCookie, host, token[:len(token)-1] + string(last+1), accessUntil.Add(-time.Hour), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expires, good := CheckAccessToken(tt.key, tt.use, tt.host, tt.token, tt.now)
			if good != tt.good || good && !expires.Equal(accessUntil) {
				t.Fatalf("got %v, %v", expires, good)
			}
		})
	}
}

// FuzzCheckAccessToken: whatever is sent, the only token that is good is the one
// that was made.
func FuzzCheckAccessToken(f *testing.F) {
	const host = "site.example.test"
	token := AccessToken(accessKey, AccessCookie, host, accessUntil)
	for _, seed := range []string{"", token, token[1:] + "A", AccessToken(accessKey, AccessShare, host, accessUntil), strings.Repeat("_", AccessTokenLength)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, good := CheckAccessToken(accessKey, AccessCookie, host, s, accessUntil.Add(-time.Hour))
		if good != (s == token) {
			t.Fatalf("%q: %v", s, good)
		}
	})
}
