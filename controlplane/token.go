package controlplane

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// TokenPrefix is what every API token begins with.
const TokenPrefix = "mv_"

// MaxTokens is how many API tokens one person has at most.
const MaxTokens = 100

// APIToken is a token that acts for a person, within its scope.
type APIToken struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scope      Scope      `json:"scope"`
	CreatedAt  time.Time  `json:"createdAt"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"` // to the minute
}

// CreateToken makes an API token. Its secret is shown this once.
func (a *Accounts) CreateToken(ctx context.Context, p Principal, name string, scope Scope) (token *APIToken, secret string, err error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, "", err
	}
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 100 || !printableText(name) {
		return nil, "", Invalid("name", "Use 1 to 100 printable characters.")
	}
	if scope < ScopeRead || scope > ScopeAdmin {
		return nil, "", Invalid("scope", "Use read, deploy or admin.")
	}
	secret = newToken()
	row := &TokenRow{
		APIToken: APIToken{ID: uuid.NewString(), Name: name, Scope: scope, CreatedAt: a.now()},
		UserID:   p.UserID,
		Hash:     hashSecret(secret),
	}
	err = a.store.Update(ctx, func(tx Tx) error {
		have, err := tx.Tokens(p.UserID)
		if err != nil {
			return err
		}
		if len(have) >= MaxTokens {
			return Errorf(CodeConflict, "You have %d tokens, which is the most: revoke one first.", MaxTokens)
		}
		return tx.InsertToken(row)
	})
	if err != nil {
		return nil, "", err
	}
	return &row.APIToken, secret, nil
}

func newToken() string { return TokenPrefix + rand.Text() }

// Tokens lists a person's tokens, newest first.
func (a *Accounts) Tokens(ctx context.Context, p Principal) (tokens []*APIToken, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	err = a.store.View(ctx, func(tx Tx) error {
		rows, err := tx.Tokens(p.UserID)
		for _, row := range rows {
			tokens = append(tokens, &row.APIToken)
		}
		return err
	})
	return tokens, err
}

// DeleteToken revokes a token: from now on it is good for nothing.
func (a *Accounts) DeleteToken(ctx context.Context, p Principal, id string) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx Tx) error {
		found, err := tx.DeleteToken(p.UserID, id)
		if err == nil && !found {
			return Errorf(CodeNotFound, "There is no such token.")
		}
		return err
	})
}

// Token returns who an API token acts for. Loopback says that the request came
// from this machine.
func (a *Accounts) Token(ctx context.Context, secret string, loopback bool) (p Principal, err error) {
	if !strings.HasPrefix(secret, TokenPrefix) {
		return Principal{}, errSignedOut
	}
	now := a.now()
	var row *TokenRow
	err = a.store.View(ctx, func(tx Tx) error {
		if row, err = tx.TokenByHash(hashSecret(secret)); err != nil {
			return signedOut(err)
		}
		p, err = principal(tx, row.UserID, row.Scope)
		return err
	})
	if err != nil {
		return Principal{}, err
	}
	p.TokenID, p.Local = row.ID, row.Local && loopback
	if row.LastUsedAt == nil || now.Sub(*row.LastUsedAt) >= time.Minute {
		err = a.store.Update(ctx, func(tx Tx) error { return tx.TokenUsed(row.ID, now) })
	}
	return p, err
}

// LocalToken returns the token of up's own CLI, which acts for the owner. It is
// the one that the CLI has, where that is still good, else a new one that
// replaces it.
func (a *Accounts) LocalToken(ctx context.Context, have string) (secret string, err error) {
	err = a.store.Update(ctx, func(tx Tx) error {
		if row, err := tx.TokenByHash(hashSecret(have)); err == nil && row.Local {
			secret = have
			return nil
		} else if err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
		if err := tx.DeleteLocalTokens(); err != nil {
			return err
		}
		owner, err := tx.Owner()
		if err != nil {
			return err
		}
		secret = newToken()
		return tx.InsertToken(&TokenRow{
			APIToken: APIToken{ID: uuid.NewString(), Name: "mini-vercel up", Scope: ScopeAdmin, CreatedAt: a.now()},
			UserID:   owner.ID, Hash: hashSecret(secret), Local: true,
		})
	})
	return secret, err
}
