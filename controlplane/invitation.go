package controlplane

import (
	"context"
	"crypto/rand"
	"time"
)

// maxInvitations is how many invitations are open at once.
const maxInvitations = 100

// Invitation lets one person make an account.
type Invitation struct {
	Code      string
	ExpiresAt time.Time
}

// Invite makes an invitation. Its code is shown this once, and good once.
func (a *Accounts) Invite(ctx context.Context, p Principal) (*Invitation, error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, err
	}
	if !p.Admin {
		return nil, Errorf(CodeForbidden, "Only administrators invite people.")
	}
	now := a.now()
	invitation := &Invitation{Code: rand.Text(), ExpiresAt: now.Add(a.config.InvitationTime)}
	err := a.store.Update(ctx, func(tx Tx) error {
		if owner, err := a.unclaimedOwner(tx); err != nil {
			return err
		} else if owner != nil {
			return Errorf(CodeConflict, "Make the first account before you invite others: open the setup link.")
		}
		if err := tx.DeleteCodes(now); err != nil {
			return err
		}
		open, err := tx.CountCodes(CodeInvitation, now)
		if err != nil {
			return err
		}
		if open >= maxInvitations {
			return Errorf(CodeConflict, "%d invitations are open, which is the most: wait until one is used or expires.", maxInvitations)
		}
		return tx.PutCode(&CodeRow{
			Hash: hashSecret(invitation.Code), Purpose: CodeInvitation, UserID: p.UserID, ExpiresAt: invitation.ExpiresAt,
		})
	})
	if err != nil {
		return nil, err
	}
	return invitation, nil
}
