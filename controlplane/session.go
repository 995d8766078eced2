package controlplane

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// renewAfter is how much of a session's time passes before a use prolongs it:
// not every request shall write.
const renewAfter = 24 * time.Hour

// errSignIn is the one answer to a wrong password and an unknown address.
var errSignIn = Errorf(CodeUnauthorized, "This address and password do not belong together.")

// errSignedOut is the answer to a cookie or a token that is not good.
var errSignedOut = Errorf(CodeUnauthorized, "The sign-in is not valid any more. Sign in again.")

// errDisabled is the answer to whoever signs in to an account that [Accounts.Disable] has closed.
var errDisabled = Errorf(CodeForbidden, "An administrator has taken this account's access away. Ask one to give it back.")

// SignIn checks an address and a password and begins a session. It takes as long
// for an unknown address as for a wrong password.
func (a *Accounts) SignIn(ctx context.Context, email, password string) (user *User, session string, err error) {
	if a.config.Supabase != nil {
		return nil, "", errSupabase
	}
	var row *UserRow
	err = a.store.View(ctx, func(tx Tx) error {
		row, err = tx.UserByEmail(normalEmail(email))
		return err
	})
	if err != nil && CodeOf(err) != CodeNotFound {
		return nil, "", err
	}
	hash := ""
	if row != nil {
		hash = row.PasswordHash
	}
	good, old, err := a.hasher.verify(ctx, hash, password)
	if err != nil {
		return nil, "", err
	}
	if !good {
		return nil, "", errSignIn
	}
	if old {
		if hash, err = a.hasher.hash(ctx, password); err != nil {
			return nil, "", err
		}
	}
	now := a.now()
	err = a.store.Update(ctx, func(tx Tx) error {
		current, err := tx.User(row.ID)
		if err != nil {
			return err
		}
		if current.PasswordHash != row.PasswordHash {
			return errSignIn // it was reset meanwhile
		}
		if !current.DisabledAt.IsZero() {
			return errDisabled
		}
		if old {
			current.PasswordHash = hash
			if err := tx.SaveUser(current); err != nil {
				return err
			}
		}
		user = &current.User
		session, err = a.putSession(tx, current.ID, now)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return user, session, nil
}

// putSession begins a session and returns its secret. Those that have expired go
// at the same time.
func (a *Accounts) putSession(tx Tx, user string, now time.Time) (string, error) {
	if err := tx.DeleteSessions(now); err != nil {
		return "", err
	}
	secret := rand.Text()
	return secret, tx.PutSession(&SessionRow{
		Hash: hashSecret(secret), UserID: user, CreatedAt: now, ExpiresAt: now.Add(a.config.SessionTime),
	})
}

// SessionTime is how long a session lasts after its last use.
func (a *Accounts) SessionTime() time.Duration { return a.config.SessionTime }

// Session returns who a session belongs to. Renewed says that its use has
// prolonged it, so that the cookie must be, too.
func (a *Accounts) Session(ctx context.Context, secret string) (p Principal, renewed bool, err error) {
	hash, now := hashSecret(secret), a.now()
	var session *SessionRow
	err = a.store.View(ctx, func(tx Tx) error {
		if session, err = tx.Session(hash); err != nil {
			return signedOut(err)
		}
		// One that began in the other way of signing in is not good in this.
		if !now.Before(session.ExpiresAt) || session.Supabase != (a.config.Supabase != nil) {
			return errSignedOut
		}
		p, err = principal(tx, session.UserID, ScopeAdmin)
		return err
	})
	if err == nil && session.Supabase { // a new token prolongs it, not its use
		p.Until = session.ExpiresAt
		return p, false, nil
	}
	if err != nil || session.ExpiresAt.Sub(now) > a.config.SessionTime-min(renewAfter, a.config.SessionTime/2) {
		return p, false, err
	}
	err = a.store.Update(ctx, func(tx Tx) error {
		current, err := tx.Session(hash) // it may have been ended meanwhile
		if err != nil {
			return signedOut(err)
		}
		current.ExpiresAt = now.Add(a.config.SessionTime)
		return tx.PutSession(current)
	})
	if err != nil {
		return Principal{}, false, err
	}
	return p, true, nil
}

// SignOut ends a session.
func (a *Accounts) SignOut(ctx context.Context, secret string) error {
	return a.store.Update(ctx, func(tx Tx) error { return tx.DeleteSession(hashSecret(secret)) })
}

// ResetPassword gives an account a new password and ends its sessions; its
// tokens stay. CodeNotFound where no account has the address.
func (a *Accounts) ResetPassword(ctx context.Context, email, password string) error {
	if a.config.Supabase != nil {
		return errSupabase
	}
	email = normalEmail(email)
	if err := checkPassword(password, email); err != nil {
		return Invalid("password", "The password does not do: %s.", err)
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx Tx) error {
		row, err := tx.UserByEmail(email)
		if CodeOf(err) == CodeNotFound {
			return Errorf(CodeNotFound, "No account has the address %s.", email)
		}
		if err != nil {
			return err
		}
		row.PasswordHash = hash
		if err := tx.SaveUser(row); err != nil {
			return fmt.Errorf("reset the password of %s: %w", email, err)
		}
		return tx.DeleteSessionsOf(row.ID)
	})
}

// principal is a user who has signed in.
func principal(tx Tx, user string, scope Scope) (Principal, error) {
	row, err := tx.User(user)
	if err != nil {
		return Principal{}, signedOut(err)
	}
	if !row.DisabledAt.IsZero() {
		return Principal{}, errDisabled
	}
	return Principal{UserID: row.ID, Admin: row.Admin && scope == ScopeAdmin, Scope: scope}, nil
}

// signedOut turns "there is no such row" into "you are not signed in".
func signedOut(err error) error {
	if CodeOf(err) == CodeNotFound {
		return errSignedOut
	}
	return err
}
