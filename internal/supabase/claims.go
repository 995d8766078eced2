package supabase

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// signedIn is both the audience and the role of a user's token; the anonymous
// key and the service's have others.
const signedIn = "authenticated"

// errClaims is what is wrong with claims that only Supabase has.
var errClaims = errors.New("the claims are not those of a user")

// claims are what Supabase's tokens say.
type claims struct {
	jwt.RegisteredClaims
	email     string
	role      string
	anonymous bool
}

// UnmarshalJSON takes claims by their exact names, each at most once: readers
// that differ in which of two they believe are how checks are passed by
// (RFC 8725, section 2.6). encoding/json would also take them in any case.
func (c *claims) UnmarshalJSON(text []byte) error {
	members, err := object(text)
	if err != nil {
		return err
	}
	for name, value := range map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "exp": &c.ExpiresAt, "nbf": &c.NotBefore, "iat": &c.IssuedAt,
		"email": &c.email, "role": &c.role, "is_anonymous": &c.anonymous,
	} {
		if text, ok := members[name]; ok {
			if err := json.Unmarshal(text, value); err != nil {
				return fmt.Errorf("the claim %s: %w", name, err)
			}
		}
	}
	c.email = strings.ToLower(c.email)
	return nil
}

// Validate is called by the parser after its own checks.
func (c *claims) Validate() error {
	id, err := uuid.Parse(c.Subject)
	switch {
	case err != nil || id.String() != c.Subject:
		return fmt.Errorf("%w: sub is no UUID", errClaims)
	case c.role != signedIn:
		return fmt.Errorf("%w: the role is another", errClaims)
	case c.anonymous:
		return fmt.Errorf("%w: the user is anonymous", errClaims)
	}
	return nil
}

// checkHeader refuses headers that two readers could understand in two ways,
// and extensions that must be understood (RFC 7515, section 4.1.11).
func checkHeader(token string) error {
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return errors.New("the header is not base64url")
	}
	members, err := object(text)
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	if _, ok := members["crit"]; ok {
		return errors.New("the header has extensions")
	}
	return nil
}

// object reads one JSON object whose members have different names.
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, errors.New("it is no JSON")
		}
		name, _ := token.(string) // names are strings
		if _, twice := members[name]; twice {
			return nil, errors.New("it has two members of one name")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("it is no JSON")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is no JSON")
	}
	if d.More() {
		return nil, errors.New("something follows it")
	}
	return members, nil
}
