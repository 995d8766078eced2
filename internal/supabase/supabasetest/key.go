package supabasetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Key is a signing key.
type Key struct {
	ID      string
	Method  jwt.SigningMethod
	Private crypto.Signer
	JWK     map[string]any // the public part
}

// NewKey makes a key for ES256.
func NewKey() *Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // never fails, see crypto/rand
	}
	k := &Key{ID: uuid.NewString(), Method: jwt.SigningMethodES256, Private: private}
	point, err := private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	k.JWK = map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": []string{"verify"}, "ext": true, "kid": k.ID,
		"x": encode(point[1:33]), "y": encode(point[33:]),
	}
	return k
}

// NewRSAKey makes a key for RS256.
func NewRSAKey() *Key {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	k := &Key{ID: uuid.NewString(), Method: jwt.SigningMethodRS256, Private: private}
	k.JWK = map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "key_ops": []string{"verify"}, "kid": k.ID,
		"n": encode(private.N.Bytes()), "e": encode(big.NewInt(int64(private.E)).Bytes()),
	}
	return k
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Claims are those of a user's access token. An edit replaces some; a nil value
// takes one out.
func (s *Server) Claims(id, email string, edits ...map[string]any) jwt.MapClaims {
	now := s.Now()
	claims := jwt.MapClaims{
		"iss": s.URL + "/auth/v1", "sub": id, "aud": "authenticated", "role": "authenticated",
		"exp": now.Add(s.TokenTime).Unix(), "iat": now.Unix(), "email": email, "phone": "",
		"app_metadata":  map[string]any{"provider": "email", "providers": []string{"email"}},
		"user_metadata": map[string]any{"email": email, "email_verified": true, "sub": id},
		"aal":           "aal1", "amr": []any{map[string]any{"method": "password", "timestamp": now.Unix()}},
		"session_id": uuid.NewString(), "is_anonymous": false,
	}
	for _, edit := range edits {
		maps.Copy(claims, edit)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Token is a user's access token, as Supabase would issue it now.
func (s *Server) Token(id, email string, edits ...map[string]any) string {
	return s.Key().Sign(s.Claims(id, email, edits...))
}

// Sign makes a token of claims.
func (k *Key) Sign(claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(k.Method, claims)
	token.Header["kid"] = k.ID
	signed, err := token.SignedString(k.Private)
	if err != nil {
		panic(err)
	}
	return signed
}

// Ago is a time in the past or, where it is negative, the future, as claims
// have it.
func (s *Server) Ago(d time.Duration) int64 { return s.Now().Add(-d).Unix() }
