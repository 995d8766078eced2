package controlplane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/supabase"
)

// errSupabase is the answer to passwords where people sign in by Supabase.
var errSupabase = Errorf(CodeForbidden, "People sign in by Supabase here, in the dashboard; passwords are made and changed there. Programs use an API token, made in the dashboard under Account.")

// BySupabase reports whether people sign in by Supabase.
func (a *Accounts) BySupabase() bool { return a.config.Supabase != nil }

// SupabaseState is when Supabase's keys were fetched last, and why the last try
// failed, if it did. Call it only where people sign in by Supabase.
func (a *Accounts) SupabaseState() (fetched time.Time, err error) {
	return a.config.Supabase.KeysFrom()
}

// startSupabase begins to fetch keys. They are kept in the database, so that
// each control plane that starts during an outage of Supabase has them.
func (a *Accounts) startSupabase(ctx context.Context) error {
	v := a.config.Supabase
	if v == nil {
		return nil
	}
	var kept []byte
	err := a.store.View(ctx, func(tx Tx) (err error) {
		kept, err = tx.SupabaseKeys(v.Issuer())
		return err
	})
	if err != nil {
		return err
	}
	v.Start(kept, func(ctx context.Context, set []byte) error {
		return a.store.Update(ctx, func(tx Tx) error { return tx.KeepSupabaseKeys(v.Issuer(), set, a.now()) })
	})
	return nil
}

// Supabase returns who a token of Supabase acts for: for as long as it lasts,
// everything that its user may do.
func (a *Accounts) Supabase(ctx context.Context, token string) (Principal, error) {
	user, err := a.verify(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	var p Principal
	var current bool
	err = a.store.View(ctx, func(tx Tx) error {
		row, err := tx.UserBySubject(user.ID)
		if CodeOf(err) == CodeNotFound {
			// Anybody may sign up at Supabase, and ask for ever: no write for him.
			return or(a.mayEnter(tx, user, ""), err)
		}
		if err != nil {
			return err
		}
		if user.IssuedAt.Before(row.TokensFrom) {
			return errSignedOut
		}
		current = user.Email == "" || row.Email == user.Email
		p, err = principal(tx, row.ID, ScopeAdmin)
		return err
	})
	if CodeOf(err) == CodeNotFound || err == nil && !current {
		err = a.store.Update(ctx, func(tx Tx) error {
			row, err := a.enter(tx, user, "")
			if err != nil {
				return err
			}
			p, err = principal(tx, row.ID, ScopeAdmin)
			return err
		})
	}
	if err != nil {
		return Principal{}, err
	}
	p.Until = user.Until
	return p, nil
}

func (a *Accounts) verify(ctx context.Context, token string) (*supabase.User, error) {
	if a.config.Supabase == nil {
		return nil, errSignedOut
	}
	user, err := a.config.Supabase.Verify(ctx, token)
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, supabase.ErrUnavailable):
		return nil, Errorf(CodeUnavailable, "The sign-in can't be checked: it is signed with a key that is not known here, and Supabase does not answer. Try again in a moment.")
	case errors.Is(err, supabase.ErrUnknownKey):
		return nil, Errorf(CodeUnauthorized, "The sign-in is signed with a key that is not among Supabase's. Sign in again; if Supabase has just changed its keys, in half a minute.")
	}
	return nil, errSignedOut
}

// SupabaseSessionInput begins or prolongs a session by a token of Supabase.
type SupabaseSessionInput struct {
	Token string
	Code  string // of the setup link, an invitation or a link; for whoever has no account yet
	// Before is the session that the browser has already.
	Before string
	// EndOthers ends all other sessions of the account, and has tokens from
	// before this one count no more: the password was changed.
	EndOthers bool
}

// SupabaseSession is a browser that is signed in for as long as a token lasts.
type SupabaseSession struct {
	User   *User
	Secret string // of the cookie: that of the session before, where it is prolonged
	Until  time.Time
}

// SupabaseSession begins a session that ends with a token, or prolongs the one
// that the browser has. Whoever has no account gets one as SIGNUP says: by a
// code, which is used up with the account it made, not before.
func (a *Accounts) SupabaseSession(ctx context.Context, in SupabaseSessionInput) (*SupabaseSession, error) {
	user, err := a.verify(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	now := a.now()
	until := user.Until.UTC().Truncate(time.Microsecond)
	if most := now.Add(a.config.SessionTime); until.After(most) {
		until = most
	}
	var s *SupabaseSession
	err = a.store.Update(ctx, func(tx Tx) error {
		row, err := a.enter(tx, user, in.Code)
		if err != nil {
			return err
		}
		if !row.DisabledAt.IsZero() {
			return errDisabled
		}
		s = &SupabaseSession{User: &row.User, Secret: in.Before, Until: until}
		session := &SessionRow{UserID: row.ID, CreatedAt: now, ExpiresAt: until, Supabase: true}
		before, err := tx.Session(hashSecret(in.Before))
		if err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
		if before == nil || before.UserID != row.ID || !before.Supabase {
			// Somebody else's, perhaps: it ends.
			if err := tx.DeleteSession(hashSecret(in.Before)); err != nil {
				return err
			}
			s.Secret = rand.Text()
		} else if before.ExpiresAt.After(until) { // another page had a newer token
			s.Until, session.ExpiresAt = before.ExpiresAt, before.ExpiresAt
		}
		if in.EndOthers {
			if user.IssuedAt.After(row.TokensFrom) {
				row.TokensFrom = user.IssuedAt
			}
			if err := errors.Join(tx.SaveUser(row), tx.DeleteSessionsOf(row.ID)); err != nil {
				return err
			}
		}
		if err := tx.DeleteSessions(now); err != nil {
			return err
		}
		session.Hash = hashSecret(s.Secret)
		return tx.PutSession(session)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// enter returns the account of a Supabase user, and makes it at first sight,
// where that is allowed. Accounts are found by the user's id alone, never by the
// address: whether that was confirmed is a setting of Supabase's.
func (a *Accounts) enter(tx Tx, user *supabase.User, code string) (*UserRow, error) {
	row, err := tx.UserBySubject(user.ID)
	if err == nil && user.IssuedAt.Before(row.TokensFrom) {
		return nil, errSignedOut
	}
	if err == nil {
		return row, a.followEmail(tx, row, user.Email)
	}
	if CodeOf(err) != CodeNotFound {
		return nil, err
	}
	if err := a.mayEnter(tx, user, code); err != nil {
		return nil, err
	}
	if row, err = a.admit(tx, code, a.now()); err != nil {
		return nil, err
	}
	taken, err := tx.UserByEmail(user.Email)
	if err != nil && CodeOf(err) != CodeNotFound {
		return nil, err
	}
	if taken != nil && taken.ID != row.ID {
		return nil, Errorf(CodeForbidden, "Another account here has the address %s. If it is yours, ask the operator for a link to it: `mini-vercel user link %s`.", user.Email, user.Email)
	}
	row.Email, row.Subject = user.Email, user.ID
	if row.ID == "" {
		row.ID, row.CreatedAt = uuid.NewString(), a.now()
		return row, tx.InsertUser(row)
	}
	// Whoever had it before is out, but for tokens of the API, which programs use.
	return row, errors.Join(tx.SaveUser(row), tx.DeleteSessionsOf(row.ID))
}

// mayEnter says why a Supabase user who has no account can't get one, and how one
// without a code does, where none is made just so.
func (a *Accounts) mayEnter(tx Tx, user *supabase.User, code string) error {
	if err := checkEmail(user.Email); err != nil {
		return Errorf(CodeForbidden, "This Supabase user has no email address, which an account here needs. Add one, and sign in again.")
	}
	if code != "" {
		return nil
	}
	owner, err := a.unclaimedOwner(tx)
	if err != nil {
		return err
	}
	how := "Ask an administrator for an invitation, and open its link in this browser."
	switch {
	case owner != nil:
		how = "If you run it, open the setup link that the control plane prints when it starts, in this browser."
	case a.config.OpenSignup:
		return nil
	}
	return Errorf(CodeForbidden, "%s is signed in to Supabase, but has no account here. %s", user.Email, how)
}

// followEmail takes over the address that a user has now, unless another account
// has it: then it stays as it was.
func (a *Accounts) followEmail(tx Tx, row *UserRow, email string) error {
	if email == "" || email == row.Email || checkEmail(email) != nil {
		return nil
	}
	if _, err := tx.UserByEmail(email); err == nil {
		return nil
	} else if CodeOf(err) != CodeNotFound {
		return err
	}
	row.Email = email
	return tx.SaveUser(row)
}

// Link makes a code by which one Supabase user gets the account that has an
// address, instead of whoever signs in to it now.
func (a *Accounts) Link(ctx context.Context, email string) (*Invitation, error) {
	if a.config.Supabase == nil {
		return nil, Errorf(CodeConflict, "People have passwords here, as SUPABASE_URL is not set: `mini-vercel user reset-password` gives an account a new one.")
	}
	now := a.now()
	link := &Invitation{Code: rand.Text(), ExpiresAt: now.Add(a.config.InvitationTime)}
	err := a.store.Update(ctx, func(tx Tx) error {
		row, err := accountOf(tx, email)
		if err != nil {
			return err
		}
		return tx.PutCode(&CodeRow{Hash: hashSecret(link.Code), Purpose: CodeLink, UserID: row.ID, ExpiresAt: link.ExpiresAt})
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

// Disable takes an account's access away, or gives it back: nobody signs in to
// it, its sessions are ended, and its tokens are refused. Its projects stay.
func (a *Accounts) Disable(ctx context.Context, email string, disabled bool) error {
	return a.store.Update(ctx, func(tx Tx) error {
		row, err := accountOf(tx, email)
		if err != nil {
			return err
		}
		owner, err := tx.Owner()
		if err != nil {
			return err
		}
		if disabled && owner.ID == row.ID {
			return Errorf(CodeConflict, "%s is the owner, who can't be shut out: `up`'s own command line acts for that account.", row.Email)
		}
		row.DisabledAt = time.Time{}
		if disabled {
			row.DisabledAt = a.now()
		}
		if err := tx.SaveUser(row); err != nil {
			return fmt.Errorf("change the access of %s: %w", row.Email, err)
		}
		return tx.DeleteSessionsOf(row.ID)
	})
}

func accountOf(tx Tx, email string) (*UserRow, error) {
	email = normalEmail(email)
	row, err := tx.UserByEmail(email)
	if CodeOf(err) == CodeNotFound {
		return nil, Errorf(CodeNotFound, "No account has the address %s.", email)
	}
	return row, err
}
