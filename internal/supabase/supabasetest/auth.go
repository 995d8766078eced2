package supabasetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// user is an account, as it is answered.
type user struct {
	ID          string         `json:"id"`
	Aud         string         `json:"aud"`
	Role        string         `json:"role"`
	Email       string         `json:"email"`
	ConfirmedAt *time.Time     `json:"email_confirmed_at,omitempty"`
	CreatedAt   time.Time      `json:"created_at"`
	AppMetadata map[string]any `json:"app_metadata"`
	Metadata    map[string]any `json:"user_metadata"`
	Identities  []any          `json:"identities"`
	password    string
}

type session struct {
	id   string
	user *user
}

// code is what a mail's link has, and what it leads back with.
type code struct {
	user      *user
	challenge string // of PKCE, S256
}

// refusal is an error as GoTrue answers it since 2024-01-01.
type refusal struct {
	status        int
	Code, Message string
	Weak          map[string]any
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, Code: code, Message: message}
}

// routes are the API, below /auth/v1, as Supabase's gateway lets browsers have
// it.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/v1/.well-known/jwks.json", s.jwks)
	mux.HandleFunc("GET /auth/v1/verify", s.verify)
	mux.HandleFunc("POST /auth/v1/signup", s.call(s.signUp))
	mux.HandleFunc("POST /auth/v1/token", s.call(s.token))
	mux.HandleFunc("POST /auth/v1/recover", s.call(s.recover))
	mux.HandleFunc("PUT /auth/v1/user", s.call(s.change))
	mux.HandleFunc("POST /auth/v1/logout", s.call(s.signOut))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "authorization, apikey, content-type, x-client-info, x-supabase-api-version")
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT")
		h.Set("Access-Control-Expose-Headers", "X-Supabase-Api-Version")
		h.Set("X-Supabase-Api-Version", "2024-01-01")
		if r.Method == http.MethodOptions {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches++
	if s.broken != 0 {
		w.WriteHeader(s.broken)
		return
	}
	keys := []map[string]any{}
	for _, k := range s.keys {
		keys = append(keys, k.JWK)
	}
	reply(w, http.StatusOK, map[string]any{"keys": keys})
}

// body is everything that any call sends.
type body struct {
	Email, Password                    string
	RefreshToken                       string `json:"refresh_token"`
	AuthCode                           string `json:"auth_code"`
	CodeVerifier                       string `json:"code_verifier"`
	CodeChallenge, CodeChallengeMethod string
}

func (b *body) UnmarshalJSON(text []byte) error {
	type plain body
	var more struct {
		Challenge *string `json:"code_challenge"`
		Method    *string `json:"code_challenge_method"`
	}
	if err := json.Unmarshal(text, (*plain)(b)); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &more); err != nil {
		return err
	}
	if more.Challenge != nil && more.Method != nil {
		b.CodeChallenge, b.CodeChallengeMethod = *more.Challenge, *more.Method
	}
	return nil
}

// call reads a body and holds the lock while it is answered.
func (s *Server) call(f func(r *http.Request, b body) (any, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("apikey") != AnonKey {
			reply(w, http.StatusUnauthorized, map[string]string{"message": "No API key found in request"})
			return
		}
		var b body
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil && r.ContentLength > 0 {
			reply(w, http.StatusBadRequest, map[string]string{"code": "bad_json", "message": "Could not parse request body as JSON"})
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		answer, refused := f(r, b)
		if refused != nil {
			out := map[string]any{"code": refused.Code, "message": refused.Message}
			if refused.Weak != nil {
				out["weak_password"] = refused.Weak
			}
			reply(w, refused.status, out)
			return
		}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		reply(w, http.StatusOK, answer)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) signUp(r *http.Request, b body) (any, *refusal) {
	if refused := checkPassword(b.Password); refused != nil {
		return nil, refused
	}
	email := strings.ToLower(b.Email)
	if u := s.find(email); u != nil {
		if s.AutoConfirm {
			return nil, refuse(http.StatusUnprocessableEntity, "user_already_exists", "User already registered")
		}
		// Nobody learns who has an account: a user that isn't, without identities.
		fake := *u
		fake.ID, fake.Identities, fake.ConfirmedAt = uuid.NewString(), []any{}, nil
		return fake, nil
	}
	now := s.Now()
	u := &user{
		ID: uuid.NewString(), Aud: "authenticated", Role: "authenticated", Email: email, CreatedAt: now, password: b.Password,
		AppMetadata: map[string]any{"provider": "email"}, Metadata: map[string]any{"email": email},
	}
	u.Identities = []any{map[string]any{"provider": "email", "id": u.ID}}
	s.users = append(s.users, u)
	if s.AutoConfirm {
		u.ConfirmedAt = &now
		return s.begin(u), nil
	}
	s.mail(u, "signup", r, b)
	return u, nil
}

func checkPassword(password string) *refusal {
	if len(password) >= 8 {
		return nil
	}
	r := refuse(http.StatusUnprocessableEntity, "weak_password", "Password should be at least 8 characters.")
	r.Weak = map[string]any{"message": r.Message, "reasons": []string{"length"}}
	return r
}

func (s *Server) find(email string) *user {
	for _, u := range s.users {
		if u.Email == email {
			return u
		}
	}
	return nil
}

// mail sends a link that leads to where the caller asked.
func (s *Server) mail(u *user, kind string, r *http.Request, b body) {
	token := rand.Text()
	s.codes[token] = &code{user: u, challenge: b.CodeChallenge}
	query := url.Values{"token": {token}, "type": {kind}, "redirect_to": {r.URL.Query().Get("redirect_to")}}
	s.mails[u.Email] = append(s.mails[u.Email], s.URL+"/auth/v1/verify?"+query.Encode())
}

// verify is where a mail's link leads: it confirms the address, and leads on
// with a code that only the browser which asked can use.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	target, err := url.Parse(q.Get("redirect_to"))
	if err != nil || target.Host == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	known := s.codes[q.Get("token")]
	delete(s.codes, q.Get("token"))
	out := target.Query()
	if known == nil {
		out.Set("error", "access_denied")
		out.Set("error_code", "otp_expired")
		out.Set("error_description", "Email link is invalid or has expired")
	} else {
		now := s.Now()
		known.user.ConfirmedAt = &now
		next := uuid.NewString()
		s.codes[next] = known
		out.Set("code", next)
	}
	target.RawQuery = out.Encode()
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

func (s *Server) token(r *http.Request, b body) (any, *refusal) {
	switch r.URL.Query().Get("grant_type") {
	case "password":
		u := s.find(strings.ToLower(b.Email))
		if u == nil || u.password != b.Password {
			return nil, refuse(http.StatusBadRequest, "invalid_credentials", "Invalid login credentials")
		}
		if u.ConfirmedAt == nil {
			return nil, refuse(http.StatusBadRequest, "email_not_confirmed", "Email not confirmed")
		}
		return s.begin(u), nil
	case "refresh_token":
		known := s.sessions[b.RefreshToken]
		if known == nil {
			return nil, refuse(http.StatusBadRequest, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
		}
		delete(s.sessions, b.RefreshToken)
		return s.answer(known), nil
	case "pkce":
		known := s.codes[b.AuthCode]
		delete(s.codes, b.AuthCode)
		if known == nil {
			return nil, refuse(http.StatusNotFound, "flow_state_not_found", "invalid flow state, no valid flow state found")
		}
		if sum := sha256.Sum256([]byte(b.CodeVerifier)); encode(sum[:]) != known.challenge {
			return nil, refuse(http.StatusBadRequest, "bad_code_verifier", "code challenge does not match previously saved code verifier")
		}
		return s.begin(known.user), nil
	}
	return nil, refuse(http.StatusBadRequest, "validation_failed", "unsupported_grant_type")
}

func (s *Server) begin(u *user) any { return s.answer(&session{id: uuid.NewString(), user: u}) }

// answer goes on with a session under a new refresh token.
func (s *Server) answer(known *session) any {
	refresh := rand.Text()
	s.sessions[refresh] = known
	u := known.user
	now := s.Now()
	claims := s.Claims(u.ID, u.Email, map[string]any{"session_id": known.id})
	return map[string]any{
		"access_token": s.keys[len(s.keys)-1].Sign(claims), "token_type": "bearer", "refresh_token": refresh, "user": u,
		"expires_in": int(s.TokenTime.Seconds()), "expires_at": now.Add(s.TokenTime).Unix(),
	}
}

func (s *Server) recover(r *http.Request, b body) (any, *refusal) {
	if u := s.find(strings.ToLower(b.Email)); u != nil {
		s.mail(u, "recovery", r, b)
	}
	return map[string]any{}, nil
}

// caller is the session of a request's token.
func (s *Server) caller(r *http.Request) *session {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return nil
	}
	for _, known := range s.sessions {
		if known.id == claims["session_id"] {
			return known
		}
	}
	return nil
}

var noSession = refuse(http.StatusForbidden, "session_not_found", "Session from session_id claim in JWT does not exist")

func (s *Server) change(r *http.Request, b body) (any, *refusal) {
	known := s.caller(r)
	if known == nil {
		return nil, noSession
	}
	if b.Password == known.user.password {
		return nil, refuse(http.StatusUnprocessableEntity, "same_password", "New password should be different from the old password.")
	}
	if refused := checkPassword(b.Password); refused != nil {
		return nil, refused
	}
	known.user.password = b.Password
	for refresh, other := range s.sessions { // whoever else was signed in
		if other.user == known.user && other != known {
			delete(s.sessions, refresh)
		}
	}
	return known.user, nil
}

func (s *Server) signOut(r *http.Request, _ body) (any, *refusal) {
	known := s.caller(r)
	if known == nil {
		return nil, noSession
	}
	for refresh, other := range s.sessions {
		if other == known || r.URL.Query().Get("scope") == "global" && other.user == known.user {
			delete(s.sessions, refresh)
		}
	}
	return nil, nil
}

// SignUp makes a confirmed user and returns its id.
func (s *Server) SignUp(email, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	u := &user{
		ID: uuid.NewString(), Aud: "authenticated", Role: "authenticated", Email: email, CreatedAt: now, ConfirmedAt: &now, password: password,
		AppMetadata: map[string]any{"provider": "email"}, Metadata: map[string]any{"email": email}, Identities: []any{},
	}
	s.users = append(s.users, u)
	return u.ID
}
