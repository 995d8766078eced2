package logs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Errors that say which setting may be wrong. They are the first words of those
// that people read.
var (
	ErrAway        error = errors.New("ClickHouse is away") // it can't be reached, or does not answer
	ErrCredentials error = controlplane.SettingsError("CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD: ClickHouse refuses the user or the password")
	ErrRights      error = controlplane.SettingsError("CLICKHOUSE_USERNAME, CLICKHOUSE_DATABASE: ClickHouse lets the user do too little")
	ErrTrust       error = controlplane.SettingsError("CLICKHOUSE_SSL_CA: the certificate of ClickHouse is not trusted")
)

// Codes of the server's exceptions, see ClickHouse's ErrorCodes.cpp.
const (
	codeUnknownTable         = 60
	codeUnknownDatabase      = 81
	codeReadOnly             = 164
	codeUnknownUser          = 192
	codeWrongPassword        = 193
	codeRequiredPassword     = 194
	codeAddressNotAllowed    = 195
	codeDatabaseDenied       = 291
	codeAccessDenied         = 497
	codeAuthenticationFailed = 516
)

func code(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func isMissing(err error) bool {
	return code(err) == codeUnknownTable || code(err) == codeUnknownDatabase
}

// isHopeless reports whether an error stays until a person ends it.
func isHopeless(err error) bool {
	switch code(err) {
	case codeReadOnly, codeUnknownUser, codeWrongPassword, codeRequiredPassword, codeAddressNotAllowed, codeDatabaseDenied, codeAccessDenied, codeAuthenticationFailed:
		return true
	}
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &name) || errors.As(err, &authority) || errors.As(err, &invalid)
}

// explain says in one line what an error means and what to do. It never has the
// password: the driver's errors don't.
func (c *ClickHouse) explain(err error) error {
	o := c.options
	switch code(err) {
	case 0:
	case codeUnknownUser, codeWrongPassword, codeRequiredPassword, codeAuthenticationFailed:
		return fmt.Errorf("%w: %s does not take the user %s with this password: check both", ErrCredentials, c.address, o.Username)
	case codeAddressNotAllowed:
		return fmt.Errorf("%w: %s takes the user %s from other addresses only: allow this machine's in the user's networks", ErrRights, c.address, o.Username)
	case codeUnknownDatabase:
		return fmt.Errorf("%w: %s has no database %s: create it", ErrRights, c.address, o.Database)
	case codeReadOnly, codeDatabaseDenied, codeAccessDenied:
		return fmt.Errorf("%w: the user %s may not write to the database %s at %s, or not create what is missing there: grant it that. It says: %s", ErrRights, o.Username, o.Database, c.address, oneLine(err))
	default:
		return fmt.Errorf("ClickHouse at %s: %s", c.address, oneLine(err))
	}
	var network net.Error
	var record tls.RecordHeaderError
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrAway) || errors.Is(err, errClosed):
		return err
	case isHopeless(err):
		return fmt.Errorf("%w: %s: %w", ErrTrust, c.address, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, clickhouse.ErrAcquireConnTimeout), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w: %s does not answer in time", ErrAway, c.address)
	case errors.As(err, &record):
		return fmt.Errorf("%w: %s does not speak TLS: the port is that of the native protocol with TLS (9440), or leave TLS out", ErrAway, c.address)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), strings.Contains(err.Error(), "unexpected packet"):
		return fmt.Errorf("%w: %s has ended the connection, or answers by another protocol: the port is that of the native protocol (9000, with TLS 9440), not of HTTP", ErrAway, c.address)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %s can't be reached: %s", ErrAway, c.address, oneLine(err))
	}
	return fmt.Errorf("ClickHouse at %s: %s", c.address, oneLine(err))
}

// oneLine returns the first line of an error, which has no stack trace.
func oneLine(err error) string {
	text := err.Error()
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		text = fmt.Sprintf("code %d: %s", e.Code, e.Message)
	}
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, "Stack trace:")
	return strings.TrimSpace(text)
}
