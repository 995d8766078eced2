package controlplane

import "time"

// AccountRows are the people, and what they sign in with. Secrets are kept as
// the hex of their sha256: they are random and long, so a slow hash adds nothing.
type AccountRows interface {
	InsertUser(*UserRow) error
	// SaveUser writes every column that can change.
	SaveUser(*UserRow) error
	User(id string) (*UserRow, error)
	// UserByEmail finds an account by its address in lower case.
	UserByEmail(email string) (*UserRow, error)
	// UserBySubject finds the account of a Supabase user.
	UserBySubject(subject string) (*UserRow, error)
	// UnclaimedOwner returns the owner who has no password yet.
	UnclaimedOwner() (*UserRow, error)
	// Owner returns the account that the first start made.
	Owner() (*UserRow, error)
	CountUsers() (int, error)

	PutSession(*SessionRow) error
	Session(hash string) (*SessionRow, error)
	DeleteSession(hash string) error
	DeleteSessionsOf(user string) error
	DeleteSessions(expiredBefore time.Time) error

	InsertToken(*TokenRow) error
	TokenByHash(hash string) (*TokenRow, error)
	// Tokens lists a user's tokens but for up's own, newest first.
	Tokens(user string) ([]*TokenRow, error)
	// TokenUsed notes when a token was last used.
	TokenUsed(id string, at time.Time) error
	// DeleteToken removes one token of a user and reports whether there was one.
	DeleteToken(user, id string) (bool, error)
	DeleteLocalTokens() error

	// PutCode keeps a one-use code. A setup code replaces the one before.
	PutCode(*CodeRow) error
	// TakeCode removes a code and returns it; CodeNotFound where there is none
	// that is still good.
	TakeCode(hash string, now time.Time) (*CodeRow, error)
	CountCodes(purpose CodePurpose, now time.Time) (int, error)
	DeleteCodes(expiredBefore time.Time) error

	// SupabaseKeys returns the keys that were kept of an issuer of tokens; none:
	// nil.
	SupabaseKeys(issuer string) ([]byte, error)
	KeepSupabaseKeys(issuer string, set []byte, now time.Time) error
}

// UserRow is an account as it is kept.
type UserRow struct {
	User
	PasswordHash string    // argon2id, in the PHC string format; none: nobody can sign in by one
	Subject      string    // id of the Supabase user who signs in to it; none: nobody does
	TokensFrom   time.Time // tokens of Supabase that were issued before count no more
	DisabledAt   time.Time
}

// SessionRow is a browser that is signed in.
type SessionRow struct {
	Hash      string
	UserID    string
	CreatedAt time.Time
	ExpiresAt time.Time
	Supabase  bool // it began with a token of Supabase, and ends with it
}

// TokenRow is an API token as it is kept.
type TokenRow struct {
	APIToken
	UserID string
	Hash   string
	Local  bool // up's own, for the CLI of the same machine
}

// CodePurpose says what a one-use code is good for.
type CodePurpose string

// The purposes of codes.
const (
	CodeSetup      CodePurpose = "setup"      // takes over the owner's account
	CodeInvitation CodePurpose = "invitation" // makes an account
	CodeLink       CodePurpose = "link"       // gives an account to a Supabase user
)

// CodeRow is a one-use code as it is kept.
type CodeRow struct {
	Hash      string
	Purpose   CodePurpose
	UserID    string // who invited; of a link: whose account
	ExpiresAt time.Time
}

// EnvVarRows are the environment variables of projects.
type EnvVarRows interface {
	// PutEnvVar inserts or replaces a variable.
	PutEnvVar(*EnvVarRow) error
	EnvVar(project, key string) (*EnvVarRow, error)
	// EnvVars lists a project's variables in the order of their keys.
	EnvVars(project string) ([]*EnvVarRow, error)
	// DeleteEnvVar reports whether there was one.
	DeleteEnvVar(project, key string) (bool, error)
	DeleteEnvVars(project string) error
}

// EnvVarRow is an environment variable as it is kept. Its Value is not set.
type EnvVarRow struct {
	EnvVar
	ProjectID string
	Sealed    []byte
	SizeBytes int // of the value
}
