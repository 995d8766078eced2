package supabase_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mini-vercel/mini-vercel/internal/supabase"
	"github.com/mini-vercel/mini-vercel/internal/supabase/supabasetest"
)

const (
	id     = "5b3c9a0e-8f0d-4a53-9f0c-2f6d1f0f7a11"
	secret = "a secret that Supabase and this share, and nobody else"
)

// start starts a verifier that keeps its keys nowhere.
func start(t *testing.T, config supabase.Config) *supabase.Verifier {
	t.Helper()
	v := supabase.New(config)
	v.Start(nil, func(context.Context, []byte) error { return nil })
	t.Cleanup(v.Stop)
	return v
}

// signed makes a token of any header and payload.
func signed(key *supabasetest.Key, header, payload string) string {
	text := encode(header) + "." + encode(payload)
	signature, err := key.Method.Sign(text, key.Private)
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// shared signs as HS256 with any secret.
func shared(claims jwt.MapClaims, secret []byte) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		panic(err)
	}
	return token
}

type claims = map[string]any

func TestTokens(t *testing.T) {
	server := supabasetest.Start(t)
	ec, rsa, stranger := server.Key(), supabasetest.NewRSAKey(), supabasetest.NewKey()
	server.Publish(rsa, ec)
	v := start(t, supabase.Config{URL: server.URL})
	withSecret := start(t, supabase.Config{URL: server.URL, Secret: []byte(secret)})

	good := server.Claims(id, "Ada@Example.com")
	edited := func(edit claims) jwt.MapClaims { return server.Claims(id, "ada@example.com", edit) }
	token := func(edit claims) string { return ec.Sign(edited(edit)) }
	header := asJSON(claims{"alg": "ES256", "kid": ec.ID, "typ": "JWT"})
	sign := func(payload string) string { return signed(ec, header, payload) }
	payload := asJSON(good)
	whole := ec.Sign(good)
	parts := strings.Split(whole, ".")
	as := func(key *supabasetest.Key, kid string) string { // key signs in the name of another
		other := *key
		other.ID = kid
		return other.Sign(good)
	}
	der, err := x509.MarshalPKIXPublicKey(ec.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKIXPublicKey(rsa.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	confused := func(alg, kid string, secret []byte) string {
		text := encode(asJSON(claims{"alg": alg, "kid": kid})) + "." + encode(payload)
		signature, err := jwt.SigningMethodHS256.Sign(text, secret)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	long := func(n int) string { return token(claims{"user_metadata": claims{"x": strings.Repeat("x", n)}}) }
	n := supabase.MaxToken / 2
	for len(long(n+1)) <= supabase.MaxToken {
		n++
	}
	refused, expired, unknown := supabase.ErrRefused, supabase.ErrExpired, supabase.ErrUnknownKey

	for _, row := range []struct {
		name  string
		token string
		want  error
	}{
		{"ES256", ec.Sign(good), nil},
		{"RS256", rsa.Sign(good), nil},
		{"several audiences", token(claims{"aud": []string{"other", "authenticated"}}), nil},
		{"expired within the leeway", token(claims{"exp": server.Ago(20 * time.Second)}), nil},
		{"issued by a clock that is ahead", token(claims{"iat": server.Ago(-20 * time.Second)}), nil},
		{"valid from a clock that is ahead", token(claims{"nbf": server.Ago(-20 * time.Second)}), nil},
		{"no time of issue", token(claims{"iat": nil}), nil},
		{"as long as may be", long(n), nil},

		{"nothing", "", refused},
		{"no token", "mv_ABCDEFGHIJKLMNOPQRSTUVWXYZ", refused},
		{"dots", "..", refused},
		{"too long", long(n + 1), refused},
		{"cut off", ec.Sign(good)[:200], refused},
		{"without its signature", parts[0] + "." + parts[1] + ".", refused},
		{"without its last byte", whole[:len(whole)-1], refused},
		{"a part too many", ec.Sign(good) + ".x", refused},
		{"padded base64", parts[0] + "=." + parts[1] + "." + parts[2], refused},
		{"a space behind it", ec.Sign(good) + " ", refused},
		{"other claims under a good signature", parts[0] + "." + encode(asJSON(edited(claims{"email": "eve@example.com"}))) + "." + parts[2], refused},

		{"alg none", encode(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".", refused},
		{"alg None", encode(`{"alg":"None"}`) + "." + parts[1] + ".", refused},
		{"alg none with a key and a signature", encode(asJSON(claims{"alg": "none", "kid": ec.ID})) + "." + parts[1] + "." + parts[2], refused},
		{"no alg", signed(ec, asJSON(claims{"kid": ec.ID}), payload), refused},
		{"alg is no text", signed(ec, asJSON(claims{"alg": 256, "kid": ec.ID}), payload), refused},
		{"another alg", signed(ec, asJSON(claims{"alg": "ES384", "kid": ec.ID}), payload), refused},
		{"PS256", signed(rsa, asJSON(claims{"alg": "PS256", "kid": rsa.ID}), payload), refused},
		{"HS256 without a secret", shared(good, []byte(secret)), refused},
		{"HS256 with the empty secret", confused("HS256", ec.ID, []byte{}), refused},
		{"HS256 with the public EC key", confused("HS256", ec.ID, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), refused},
		{"HS256 with the public EC key in DER", confused("HS256", ec.ID, der), refused},
		{"HS256 with the public RSA key", confused("HS256", rsa.ID, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaDER})), refused},
		{"HS256 with the JWK", confused("HS256", ec.ID, []byte(asJSON(ec.JWK))), refused},
		{"RS256 in the name of the EC key", as(rsa, ec.ID), refused},
		{"ES256 in the name of the RSA key", as(ec, rsa.ID), refused},
		{"RS256 said of an EC signature", signed(ec, asJSON(claims{"alg": "RS256", "kid": ec.ID}), payload), refused},
		{"two algs, the last one good", signed(ec, `{"alg":"none","alg":"ES256","kid":"`+ec.ID+`"}`, payload), refused},
		{"two kids", signed(ec, `{"alg":"ES256","kid":"x","kid":"`+ec.ID+`"}`, payload), refused},
		{"extensions that must be understood", signed(ec, asJSON(claims{"alg": "ES256", "kid": ec.ID, "crit": []string{"b64"}, "b64": false}), payload), refused},
		{"a key of its own in the header", signed(stranger, asJSON(claims{"alg": "ES256", "kid": ec.ID, "jwk": stranger.JWK}), payload), refused},

		{"signed by somebody else", as(stranger, ec.ID), refused},
		{"of an unknown key", stranger.Sign(good), unknown},
		{"no kid", signed(ec, `{"alg":"ES256"}`, payload), refused},
		{"an empty kid", signed(ec, `{"alg":"ES256","kid":""}`, payload), refused},
		{"a kid that is no text", signed(ec, `{"alg":"ES256","kid":["`+ec.ID+`"]}`, payload), refused},

		{"expired", token(claims{"exp": server.Ago(time.Minute)}), expired},
		{"expired and for others", token(claims{"exp": server.Ago(time.Minute), "aud": "other"}), refused},
		{"expired and signed by somebody else", func() string { k := *stranger; k.ID = ec.ID; return k.Sign(edited(claims{"exp": 1})) }(), refused},
		{"no expiry", token(claims{"exp": nil}), refused},
		{"null expiry", sign(strings.Replace(payload, `"exp":`, `"exp":null,"was":`, 1)), refused},
		{"expiry that is no time", token(claims{"exp": "tomorrow"}), refused},
		{"expiry below zero", token(claims{"exp": -1}), expired},
		{"from the future", token(claims{"nbf": server.Ago(-time.Minute)}), refused},
		{"issued in the future", token(claims{"iat": server.Ago(-time.Minute)}), refused},

		{"another audience", token(claims{"aud": "other"}), refused},
		{"an audience that begins alike", token(claims{"aud": "authenticated2"}), refused},
		{"no audience", token(claims{"aud": nil}), refused},
		{"an empty list of audiences", token(claims{"aud": []string{}}), refused},
		{"an audience that is no text", token(claims{"aud": []any{1}}), refused},
		{"another issuer", token(claims{"iss": "https://evil.example.com/auth/v1"}), refused},
		{"the issuer with a slash", token(claims{"iss": server.URL + "/auth/v1/"}), refused},
		{"the address without the path", token(claims{"iss": server.URL}), refused},
		{"no issuer", token(claims{"iss": nil}), refused},
		{"an issuer in other case", sign(strings.Replace(payload, `"iss":`, `"ISS":`, 1)), refused},

		{"no subject", token(claims{"sub": nil}), refused},
		{"a subject that is no UUID", token(claims{"sub": "admin"}), refused},
		{"a subject in braces", token(claims{"sub": "{" + id + "}"}), refused},
		{"a subject in capitals", token(claims{"sub": strings.ToUpper(id)}), refused},
		{"a subject that is no text", token(claims{"sub": 7}), refused},
		{"an anonymous user", token(claims{"is_anonymous": true}), refused},
		{"anonymous in text", token(claims{"is_anonymous": "true"}), refused},
		{"the anonymous key", ec.Sign(jwt.MapClaims{"iss": server.URL + "/auth/v1", "role": "anon", "exp": server.Ago(-time.Hour), "aud": "authenticated"}), refused},
		{"the service's key", token(claims{"role": "service_role"}), refused},
		{"no role", token(claims{"role": nil}), refused},
		{"two subjects", sign(strings.Replace(payload, `"sub":"`+id+`","user`, `"sub":"`+id+`","sub":"`+id+`","user`, 1)), refused},
		{"two subjects, one in other case", sign(strings.Replace(payload, `{`, `{"SUB":"00000000-0000-4000-8000-000000000000",`, 1)), nil},
		{"claims that are no object", sign(`"` + id + `"`), refused},
		{"claims that are null", sign("null"), refused},
		{"claims and more", sign(payload + "{}"), refused},
		{"no claims", signed(ec, header, ""), refused},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, v := range map[string]*supabase.Verifier{"": v, "with a secret": withSecret} {
				if name != "" && row.name == "HS256 without a secret" {
					continue
				}
				user, err := v.Verify(t.Context(), row.token)
				if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
					t.Fatalf("%s: %v, want %v", name, err, row.want)
				}
				if err == nil && (user.ID != id || user.Email != "ada@example.com" || user.Until.Before(time.Now())) {
					t.Errorf("%+v", user)
				}
				if err != nil && (len(row.token) > 20 && strings.Contains(err.Error(), row.token[:20]) || strings.Contains(err.Error(), "example.com") && !strings.Contains(row.name, "issuer")) {
					t.Errorf("the error repeats what was sent: %v", err)
				}
			}
		})
	}
}

// TestTheCheckOfTwoSubjectsHasTwo is about the table above.
func TestTheCheckOfTwoSubjectsHasTwo(t *testing.T) {
	server := supabasetest.Start(t)
	payload := asJSON(server.Claims(id, "ada@example.com"))
	if twice := strings.Replace(payload, `"sub":"`+id+`","user`, `"sub":"`+id+`","sub":"`+id+`","user`, 1); twice == payload {
		t.Fatal(payload)
	}
}

func TestSharedSecret(t *testing.T) {
	server := supabasetest.Start(t)
	v := start(t, supabase.Config{URL: server.URL, Secret: []byte(secret)})
	good := server.Claims(id, "ada@example.com")
	if _, err := v.Verify(t.Context(), shared(good, []byte(secret))); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another secret": shared(good, []byte(secret+"x")),
		"expired":        shared(server.Claims(id, "a@example.com", claims{"exp": 1}), []byte(secret)),
		"the anonymous key": shared(jwt.MapClaims{"iss": "supabase", "ref": "abc", "role": "anon", "iat": 1, "exp": server.Ago(-time.Hour)},
			[]byte(secret)),
	} {
		if _, err := v.Verify(t.Context(), token); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if n := server.Fetches(); n > 1 {
		t.Errorf("a shared secret needs no keys, %d fetches", n)
	}
}

func TestKeysThatVerifyNothing(t *testing.T) {
	server := supabasetest.Start(t)
	usable := server.Key()
	edit := func(changes claims) *supabasetest.Key {
		k := supabasetest.NewKey()
		for name, value := range changes {
			k.JWK[name] = value
		}
		return k
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p384.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	useless := map[string]*supabasetest.Key{
		"for encryption":     edit(claims{"use": "enc"}),
		"for signing":        edit(claims{"key_ops": []string{"sign"}}),
		"for another alg":    edit(claims{"alg": "RS256"}),
		"off the curve":      edit(claims{"x": supabasetest.NewKey().JWK["x"]}),
		"half a key":         edit(claims{"y": ""}),
		"of an unknown kind": edit(claims{"kty": "XX"}),
		"another curve":      edit(claims{"crv": "P-384", "alg": "ES384", "x": base64.RawURLEncoding.EncodeToString(b[1:49]), "y": base64.RawURLEncoding.EncodeToString(b[49:])}),
		"a secret":           edit(claims{"kty": "oct", "alg": "HS256", "k": encode(secret)}),
		"members of no kind": edit(claims{"x": 7}),
	}
	keys := []*supabasetest.Key{usable}
	for _, k := range useless {
		keys = append(keys, k)
	}
	server.Publish(keys...)
	v := start(t, supabase.Config{URL: server.URL, FetchFloor: time.Nanosecond})
	claims := server.Claims(id, "ada@example.com")
	if _, err := v.Verify(t.Context(), usable.Sign(claims)); err != nil {
		t.Fatalf("one key that can't be used spoils the others: %v", err)
	}
	for name, k := range useless {
		if _, err := v.Verify(t.Context(), k.Sign(claims)); !errors.Is(err, supabase.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = useless["a secret"].ID
	forged, err := token.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), forged); !errors.Is(err, supabase.ErrRefused) {
		t.Errorf("a published secret is believed: %v", err)
	}
}
