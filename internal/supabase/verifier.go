// Package supabase verifies the access tokens of Supabase Auth by itself: with
// the keys that Supabase publishes, and without a call to it for a token. It
// knows nothing of accounts.
package supabase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config is what a [Verifier] needs to know. URL must be given.
type Config struct {
	// URL is the project's address, such as https://abc.supabase.co, without a
	// final slash. Tokens are those that it issues below /auth/v1.
	URL string
	// Secret is the shared one of HS256 tokens. Default: none, those are refused.
	Secret []byte

	// FetchFloor is the least time between two fetches that unknown keys cause.
	// Default: 30 s.
	FetchFloor time.Duration
	// RefreshTime is how often keys are fetched anyway, so that one that was
	// revoked is forgotten. Default: 10 minutes.
	RefreshTime time.Duration
	// FetchTime bounds one fetch. Default: 5 s.
	FetchTime time.Duration

	// Log takes what goes wrong. Default: nothing does.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// User is whom a token was issued to.
type User struct {
	// ID is a UUID that Supabase never gives to another user of the project.
	ID string
	// Email is in lower case; none: the user signs in by something else. Nobody
	// but Supabase's settings says whether it was confirmed.
	Email string
	// IssuedAt is when the token was issued; zero: it does not say.
	IssuedAt time.Time
	// Until is when the token ends.
	Until time.Time
}

// The errors of [Verifier.Verify]. None holds anything of the token.
var (
	// ErrRefused is a token that was never good for this, or is no token.
	ErrRefused = errors.New("the token is refused")
	// ErrExpired is a token that was good.
	ErrExpired = errors.New("the token has expired")
	// ErrUnknownKey is a token whose key is not among those published.
	ErrUnknownKey = errors.New("the token's key is unknown")
	// ErrUnavailable is a token whose key is not known, while the published ones
	// can't be had.
	ErrUnavailable = errors.New("the keys can't be fetched")
)

const (
	// MaxToken is how long a token may be, in bytes.
	MaxToken = 16 << 10
	// leeway is by how much clocks may differ.
	leeway = 30 * time.Second
)

// Verifier verifies tokens. Its methods may be called by many goroutines at
// once. Start must be called before and Stop after.
type Verifier struct {
	config  Config
	issuer  string
	parser  *jwt.Parser
	keys    *keys
	metrics *metrics
}

// New makes a verifier.
func New(config Config) *Verifier {
	set(&config.FetchFloor, 30*time.Second)
	set(&config.RefreshTime, 10*time.Minute)
	set(&config.FetchTime, 5*time.Second)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{config: config, issuer: config.URL + "/auth/v1"}
	methods := []string{jwt.SigningMethodES256.Alg(), jwt.SigningMethodRS256.Alg()}
	if len(config.Secret) > 0 {
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	v.parser = jwt.NewParser(
		jwt.WithValidMethods(methods), jwt.WithStrictDecoding(), jwt.WithTimeFunc(config.Now), jwt.WithLeeway(leeway),
		jwt.WithIssuer(v.issuer), jwt.WithAudience(signedIn), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
	)
	v.keys = newKeys(config, v.issuer+"/.well-known/jwks.json")
	v.metrics = newMetrics(v.keys)
	v.keys.fetches = v.metrics.fetches
	return v
}

// Issuer is what tokens name as theirs, and what kept keys belong to.
func (v *Verifier) Issuer() string { return v.issuer }

// Start begins to fetch keys, and goes on until Stop. Until then, and while
// Supabase is away, those count that were kept: a set as keep was given it.
// Keep is called with each set that differs from the one before.
func (v *Verifier) Start(kept []byte, keep func(ctx context.Context, set []byte) error) {
	v.keys.start(kept, keep)
}

// Stop ends the fetching, and waits for it.
func (v *Verifier) Stop() { v.keys.stop() }

// KeysFrom is when the keys were fetched last, and why the last try failed,
// if it did. The time is zero where only kept keys are there.
func (v *Verifier) KeysFrom() (at time.Time, err error) { return v.keys.state() }

// Verify returns whom a token was issued to. It waits for the network only for
// a key that it does not know, and no longer than ctx lasts.
func (v *Verifier) Verify(ctx context.Context, token string) (*User, error) {
	user, err := v.verify(ctx, token)
	v.metrics.tokens.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		v.config.Log.DebugContext(ctx, "token refused", slog.Any("error", err))
	}
	return user, err
}

func (v *Verifier) verify(ctx context.Context, token string) (*User, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrRefused, MaxToken)
	}
	if err := checkHeader(token); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	claims := &claims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	switch {
	case err == nil:
		user := &User{ID: claims.Subject, Email: claims.email, Until: claims.ExpiresAt.Add(leeway)}
		if claims.IssuedAt != nil {
			user.IssuedAt = claims.IssuedAt.Time
		}
		return user, nil
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknownKey):
		return nil, err
	case errors.Is(err, jwt.ErrTokenExpired) && !otherThanExpired(err):
		return nil, fmt.Errorf("%w: %w", ErrExpired, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrRefused, err)
}

// otherThanExpired reports whether a token has more wrong with it than its age.
func otherThanExpired(err error) bool {
	return slices.ContainsFunc([]error{
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued,
		jwt.ErrTokenRequiredClaimMissing, errClaims,
	}, func(other error) bool { return errors.Is(err, other) })
}

// key returns what a token's signature is checked with. Its type is that of the
// algorithm: a public key is never a secret, an RSA key verifies no ES256.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if t.Method == jwt.SigningMethodHS256 { // among the parser's methods only where there is a secret
		return v.config.Secret, nil
	}
	id, _ := t.Header["kid"].(string)
	if id == "" {
		return nil, errors.New("it names no key")
	}
	key, err := v.keys.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if key.alg != t.Method.Alg() {
		return nil, fmt.Errorf("its key is for %s, not %s", key.alg, t.Method.Alg())
	}
	return key.public, nil
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// client fetches keys: from the one address, wherever it would lead.
func client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
