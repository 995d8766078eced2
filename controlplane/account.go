package controlplane

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/supabase"
)

// User is a person with an account.
type User struct {
	ID        string    `json:"id"`    // UUID, version 4
	Email     string    `json:"email"` // in lower case; none: an owner whom nobody has taken over
	Name      string    `json:"name"`
	Admin     bool      `json:"admin"` // may suspend projects and invite people
	CreatedAt time.Time `json:"createdAt"`
}

// Accounts knows who may sign in: people with passwords and sessions, tokens of
// the API, invitations. Its methods may be called by many goroutines at once.
type Accounts struct {
	config AccountsConfig
	store  Store
	hasher *passwordHasher
}

// AccountsConfig is what [Accounts] need to know.
type AccountsConfig struct {
	// OpenSignup lets everyone make an account; else an invitation is needed.
	OpenSignup bool
	// SessionTime is how long a session lasts after its last use. Default: 30 days.
	SessionTime time.Duration
	// InvitationTime is how long an invitation is good for. Default: 7 days.
	InvitationTime time.Duration
	// Supabase verifies the tokens by which people sign in. Default: none does,
	// people have passwords here.
	Supabase *supabase.Verifier
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// NewAccounts makes accounts over a store. Open must be called before the first
// person can sign in, and Close after.
func NewAccounts(config AccountsConfig, store Store) *Accounts {
	set(&config.SessionTime, 30*24*time.Hour)
	set(&config.InvitationTime, 7*24*time.Hour)
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Accounts{config: config, store: store, hasher: newPasswordHasher()}
}

func (a *Accounts) now() time.Time { return a.config.Now().UTC().Truncate(time.Microsecond) }

// Open makes the owner at the first start, forgets sessions and codes that have
// expired, and begins to fetch Supabase's keys. While nobody has taken the owner over, it returns a new setup
// code, which the person who started this needs for the first sign-up; the one
// of the start before is no longer good. Else the code is empty.
func (a *Accounts) Open(ctx context.Context) (setupCode string, err error) {
	now := a.now()
	err = a.store.Update(ctx, func(tx Tx) error {
		setupCode = ""
		if err := tx.DeleteSessions(now); err != nil {
			return err
		}
		if err := tx.DeleteCodes(now); err != nil {
			return err
		}
		n, err := tx.CountUsers()
		if err != nil {
			return err
		}
		if n == 0 {
			owner := &UserRow{User: User{ID: uuid.NewString(), Admin: true, CreatedAt: now}}
			if err := tx.InsertUser(owner); err != nil {
				return err
			}
		}
		setupCode = "" // this may be run again
		owner, err := a.unclaimedOwner(tx)
		if err != nil || owner == nil {
			return err
		}
		setupCode = rand.Text()
		return tx.PutCode(&CodeRow{Hash: hashSecret(setupCode), Purpose: CodeSetup, UserID: owner.ID})
	})
	if err == nil {
		err = a.startSupabase(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("open accounts: %w", err)
	}
	return setupCode, nil
}

// Close ends the fetching of keys, and waits for it.
func (a *Accounts) Close() {
	if a.config.Supabase != nil {
		a.config.Supabase.Stop()
	}
}

// NeedsSetup reports whether nobody has taken the owner over yet.
func (a *Accounts) NeedsSetup(ctx context.Context) (needed bool, err error) {
	err = a.store.View(ctx, func(tx Tx) error {
		owner, err := a.unclaimedOwner(tx)
		needed = owner != nil
		return err
	})
	return needed, err
}

// unclaimedOwner returns the owner's account, where nobody can sign in to it yet
// in the way that people sign in here; else nil.
func (a *Accounts) unclaimedOwner(tx Tx) (*UserRow, error) {
	if a.config.Supabase == nil {
		owner, err := tx.UnclaimedOwner()
		if CodeOf(err) == CodeNotFound {
			return nil, nil
		}
		return owner, err
	}
	owner, err := tx.Owner()
	if err != nil || owner.Subject != "" {
		return nil, err
	}
	return owner, nil
}

// OpenSignup reports whether everyone may make an account.
func (a *Accounts) OpenSignup() bool { return a.config.OpenSignup }

// User returns the account of a principal.
func (a *Accounts) User(ctx context.Context, p Principal) (user *User, err error) {
	err = a.store.View(ctx, func(tx Tx) error {
		row, err := tx.User(p.UserID)
		if err != nil {
			return err
		}
		user = &row.User
		return nil
	})
	return user, err
}

// SignUpInput makes an account.
type SignUpInput struct {
	Email    string
	Password string
	Name     string
	Code     string // of the setup link or of an invitation
}

// SignUp makes an account, and signs it in. The first one takes the owner over
// and needs the setup code; later ones need an invitation, unless sign-up is
// open. A code is used up with the account it made, not before.
func (a *Accounts) SignUp(ctx context.Context, in SignUpInput) (user *User, session string, err error) {
	if a.config.Supabase != nil {
		return nil, "", errSupabase
	}
	if err := checkSignUp(&in); err != nil {
		return nil, "", err
	}
	if err := a.checkCode(ctx, in.Code); err != nil { // before the work of a hash
		return nil, "", err
	}
	hash, err := a.hasher.hash(ctx, in.Password)
	if err != nil {
		return nil, "", err
	}
	now := a.now()
	err = a.store.Update(ctx, func(tx Tx) error {
		row, err := a.admit(tx, in.Code, now)
		if err != nil {
			return err
		}
		if _, err := tx.UserByEmail(in.Email); err == nil {
			return &Error{Code: CodeConflict, Message: "There is an account with this address: sign in.",
				Fields: []FieldError{{Field: "email", Message: "has an account already"}}}
		} else if CodeOf(err) != CodeNotFound {
			return err
		}
		row.Email, row.Name, row.PasswordHash = in.Email, in.Name, hash
		save := tx.SaveUser
		if row.ID == "" {
			row.ID, row.CreatedAt = uuid.NewString(), now
			save = tx.InsertUser
		}
		if err := save(row); err != nil {
			return err
		}
		user = &row.User
		session, err = a.putSession(tx, row.ID, now)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return user, session, nil
}

// admit uses the code up and returns the row of the account that it opens: the
// owner's, one that is given to a Supabase user, or an empty one.
func (a *Accounts) admit(tx Tx, code string, now time.Time) (*UserRow, error) {
	owner, err := a.unclaimedOwner(tx)
	if err != nil {
		return nil, err
	}
	if owner == nil && a.config.OpenSignup && code == "" {
		return &UserRow{}, nil
	}
	if code == "" {
		return nil, refusedCode(owner != nil)
	}
	row, err := tx.TakeCode(hashSecret(code), now)
	if CodeOf(err) == CodeNotFound {
		return nil, refusedCode(owner != nil)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case row.Purpose == CodeSetup && owner != nil:
		return owner, nil
	case row.Purpose == CodeInvitation && owner == nil:
		return &UserRow{}, nil
	case row.Purpose == CodeLink && a.config.Supabase != nil:
		return tx.User(row.UserID)
	}
	return nil, refusedCode(owner != nil)
}

// checkCode says early what admit would refuse; it uses nothing up.
func (a *Accounts) checkCode(ctx context.Context, code string) error {
	err := a.store.Update(ctx, func(tx Tx) error {
		if _, err := a.admit(tx, code, a.now()); err != nil {
			return err
		}
		return errOnlyLooked
	})
	if errors.Is(err, errOnlyLooked) {
		return nil
	}
	return err
}

// errOnlyLooked rolls a transaction back.
var errOnlyLooked = Errorf(CodeConflict, "only looked")

func refusedCode(setup bool) error {
	if setup {
		return Invalid("code", "The first account needs the setup link that the control plane prints when it starts. Each start prints a new one.")
	}
	return Invalid("code", "An invitation is needed that was not used before: ask an administrator for a link.")
}

func checkSignUp(in *SignUpInput) error {
	in.Email, in.Name = normalEmail(in.Email), strings.TrimSpace(in.Name)
	var fields []FieldError
	add := func(field string, err error) {
		if err != nil {
			fields = append(fields, FieldError{Field: field, Message: err.Error()})
		}
	}
	add("email", checkEmail(in.Email))
	add("password", checkPassword(in.Password, in.Email))
	if utf8.RuneCountInString(in.Name) > 100 || !printableText(in.Name) {
		add("name", fmt.Errorf("use at most 100 printable characters"))
	}
	if len(fields) > 0 {
		return &Error{Code: CodeInvalid, Message: "Some fields are not valid.", Fields: fields}
	}
	return nil
}

func normalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// checkEmail is not strict: whether an address exists, only a message to it tells.
func checkEmail(s string) error {
	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || domain == "" || len(s) > 254 || strings.ContainsAny(domain, "@ ") || !printableText(s) || strings.ContainsFunc(s, unicode.IsSpace) {
		return fmt.Errorf("use an address such as you@example.com")
	}
	return nil
}

// printableText reports whether s is valid UTF-8 without control characters.
func printableText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// hashSecret is how a random secret is kept.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
