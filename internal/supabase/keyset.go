package supabase

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxSetBytes = 64 << 10
	maxKeys     = 50
	minRSABits  = 2048
	maxRSABits  = 8192 // a larger one is work for whoever verifies
)

// keySet are public keys by their ids.
type keySet map[string]publicKey

// publicKey is good for one algorithm.
type publicKey struct {
	alg    string
	public any // *ecdsa.PublicKey or *rsa.PublicKey
	jwk    jwkset.JWKMarshal
}

// parseKeys reads a JWK Set (RFC 7517, section 5). Keys that can't verify a
// token are left out, as section 5 asks: secrets too, which are never published.
func parseKeys(text []byte) (keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("read the key set: it has no list of keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("read the key set: it has more than %d keys", maxKeys)
	}
	out := keySet{}
	for _, text := range set.Keys {
		key, ok := parseKey(text)
		if _, twice := out[key.jwk.KID]; ok && !twice {
			out[key.jwk.KID] = key
		}
	}
	return out, nil
}

func parseKey(text []byte) (publicKey, bool) {
	var m jwkset.JWKMarshal
	if json.Unmarshal(text, &m) != nil || m.KID == "" || m.USE != "" && m.USE != jwkset.UseSig ||
		len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return publicKey{}, false
	}
	// Nothing else of it counts, such as certificates.
	m = jwkset.JWKMarshal{KTY: m.KTY, ALG: m.ALG, KID: m.KID, USE: m.USE, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, false
	}
	key := publicKey{public: jwk.Key(), jwk: m}
	switch public := key.public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return publicKey{}, false
		}
		key.alg = jwt.SigningMethodES256.Alg()
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return publicKey{}, false
		}
		key.alg = jwt.SigningMethodRS256.Alg()
	default:
		return publicKey{}, false
	}
	return key, m.ALG == "" || string(m.ALG) == key.alg
}

// marshal writes the set as parseKeys reads it, always the same.
func (s keySet) marshal() ([]byte, error) {
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	for _, id := range slices.Sorted(maps.Keys(s)) {
		set.Keys = append(set.Keys, s[id].jwk)
	}
	return json.Marshal(set)
}

// get fetches the set.
func (k *keys) get() (keySet, error) {
	request, err := http.NewRequestWithContext(k.ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client(k.config.FetchTime).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", k.url, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", k.url, err)
	}
	if len(text) > maxSetBytes {
		return nil, fmt.Errorf("GET %s: the key set is larger than %d KiB", k.url, maxSetBytes>>10)
	}
	set, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", k.url, err)
	}
	return set, nil
}
