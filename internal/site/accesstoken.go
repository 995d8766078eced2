package site

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// AccessTokenUse says what an access token is for. One that was made for one use
// is no good for another.
type AccessTokenUse string

// The uses of access tokens.
const (
	AccessCookie AccessTokenUse = "cookie" // what a browser shows after the password
	AccessShare  AccessTokenUse = "share"  // what a share link carries
)

// AccessKeySize is the length of [Access.CookieKey] in bytes.
const AccessKeySize = 32

// ShareParameter is the query parameter in which a share link carries its token.
const ShareParameter = "mv_share"

// MaxShareTime is how long a share link is good for at most.
const MaxShareTime = 30 * 24 * time.Hour

// An access token is the time at which it expires and a signature, in the
// alphabet of base64url, which needs no quoting in cookies and addresses:
//
//	seconds since 1970 (8 bytes, big-endian) | HMAC-SHA256 of use, host and seconds
const (
	accessTimeSize  = 8
	accessTokenSize = accessTimeSize + sha256.Size
)

// AccessTokenLength is the length of an access token in characters.
var AccessTokenLength = accessEncoding.EncodedLen(accessTokenSize)

var accessEncoding = base64.RawURLEncoding.Strict()

// AccessToken makes a token that lets people in at one host until a time, which
// counts in whole seconds.
func AccessToken(key []byte, use AccessTokenUse, host string, expires time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, accessTokenSize), uint64(expires.Unix()))
	return accessEncoding.EncodeToString(signAccess(b, key, use, host))
}

// CheckAccessToken returns when a token expires, and whether it is good: made
// with this key for this use and this host, and not expired. With a key that is
// none, nothing is good.
func CheckAccessToken(key []byte, use AccessTokenUse, host, token string, now time.Time) (expires time.Time, good bool) {
	if len(key) != AccessKeySize || len(token) != AccessTokenLength {
		return time.Time{}, false
	}
	b, err := accessEncoding.DecodeString(token)
	if err != nil || len(b) != accessTokenSize {
		return time.Time{}, false
	}
	want := signAccess(b[:accessTimeSize:accessTimeSize], key, use, host)
	if !hmac.Equal(b, want) {
		return time.Time{}, false
	}
	expires = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return expires, now.Before(expires)
}

// signAccess appends the signature to the time. Neither a use nor a host holds a
// NUL: no two triples are signed as the same bytes.
func signAccess(seconds, key []byte, use AccessTokenUse, host string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("mini-vercel access\x00" + string(use) + "\x00" + host + "\x00"))
	m.Write(seconds)
	return m.Sum(seconds)
}
