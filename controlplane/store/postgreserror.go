package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Why a transaction is run again.
const (
	retrySerialization = "serialization"
	retryDeadlock      = "deadlock"
	retryUnique        = "unique"
	retryConnection    = "connection"
)

// reasonOf says why what failed may be run again; "": running it again would
// change nothing.
func reasonOf(err error) string {
	if errors.Is(err, errAborted) {
		return retryConnection
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case "40001":
			return retrySerialization
		case "40P01":
			return retryDeadlock
		case "23505":
			// Another transaction may have been faster with this key: the next run
			// sees its row.
			return retryUnique
		}
		if endsConnection(refused) {
			return retryConnection
		}
		return ""
	}
	if brokenConnection(err) {
		return retryConnection
	}
	return ""
}

// endsConnection reports whether the server ends the connection with this error.
func endsConnection(e *pgconn.PgError) bool {
	switch e.Code {
	case "57P01", "57P02", "57P03", "57P05", // shut down, crashed, starting, idle
		"25P03", // idle in a transaction
		"25006": // read only: it was the primary once
		return true
	}
	return strings.HasPrefix(e.Code, "08")
}

func brokenConnection(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return pgconn.SafeToRetry(err) || errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed)
}

// errAway and errBusy are what people are told; the log has the cause.
var (
	errAway    = controlplane.Errorf(controlplane.CodeUnavailable, "The database does not answer: try again in a moment.")
	errBusy    = controlplane.Errorf(controlplane.CodeUnavailable, "The database is busy: try again in a moment.")
	errUnknown = controlplane.Errorf(controlplane.CodeUnavailable, "The connection to the database broke while this was being kept: look whether it was before you try again.")
)

// outward gives an error of the database, not of what it holds, the form that
// callers show.
func (p *postgres) outward(err error) error {
	var known *controlplane.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var refused *pgconn.PgError
	switch reason := reasonOf(err); {
	case reason == retrySerialization || reason == retryDeadlock, errors.Is(err, errNoConnection), errors.Is(err, errStatementTime):
		return fmt.Errorf("%w: %w", errBusy, err)
	case reason == retryConnection:
		return fmt.Errorf("%w: %w", errAway, err)
	case errors.As(err, &refused):
		switch refused.Code {
		case "57014", "55P03": // a statement, or a lock, took too long
			return fmt.Errorf("%w: %w", errBusy, err)
		}
		switch refused.Code[:2] {
		case "28", "3D", "42", "53", "58": // sign-in, database, rights, resources, its disk
			return fmt.Errorf("%w: %w", errAway, err)
		}
	}
	return err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// explain says at the start what is wrong with the server or the address.
func (p *postgres) explain(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case "28P01":
			return fmt.Errorf("DATABASE_URL: PostgreSQL at %s refuses the user %q: the password is wrong", p.at(), p.config.User)
		case "28000":
			return fmt.Errorf("DATABASE_URL: PostgreSQL at %s refuses the user %q: %s", p.at(), p.config.User, refused.Message)
		case "3D000":
			return fmt.Errorf("DATABASE_URL: PostgreSQL at %s has no database %q: create it, with ENCODING 'UTF8' TEMPLATE template0", p.at(), p.config.Database)
		case "42501":
			return fmt.Errorf("DATABASE_URL: the user %q has too few rights on the database %q at %s: %s", p.config.User, p.config.Database, p.at(), refused.Message)
		case "57P03":
			return fmt.Errorf("DATABASE_URL: PostgreSQL at %s is not ready: %s", p.at(), refused.Message)
		}
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s: %s (%s)", p.at(), refused.Message, refused.Code)
	}
	var refusal *net.OpError
	if errors.As(err, &refusal) {
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s can't be reached: %w", p.at(), refusal)
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s can't be reached: %w", p.at(), name)
	}
	return fmt.Errorf("DATABASE_URL: PostgreSQL at %s: %w", p.at(), err)
}

// named names the setting in an error of a migration.
func (p *postgres) named(err error) error {
	if err == nil {
		return nil
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return fmt.Errorf("%w: run `mini-vercel db migrate` as the owner of the tables", p.explain(err))
	}
	return fmt.Errorf("DATABASE_URL: database %q at %s: %w", p.config.Database, p.at(), err)
}

// CheckAddress says what is wrong with an address, without trying it.
func CheckAddress(address string) error {
	_, err := parseAddress(address)
	return err
}

// Place is the server and the database of an address, without a password.
func Place(address string) (string, error) {
	p, err := newPostgres(PostgresOptions{URL: address})
	if err != nil {
		return "", err
	}
	return p.place(), p.close()
}

// MayBePlain reports whether an address leaves it to the network whether there is
// TLS, as sslmode=prefer does, which is the default: then whoever is between says
// that there is none, and reads the password. Loopback is no network.
func MayBePlain(address string) bool {
	config, err := parseAddress(address)
	if err != nil {
		return false
	}
	plain, encrypted := false, false
	count := func(host string, c *tls.Config) {
		if ip := net.ParseIP(host); host == "localhost" || ip.IsLoopback() {
			return
		}
		plain, encrypted = plain || c == nil, encrypted || c != nil
	}
	count(config.Host, config.TLSConfig)
	for _, other := range config.Fallbacks {
		count(other.Host, other.TLSConfig)
	}
	return plain && encrypted
}

// howToWrite is said of an address that can't be read.
const howToWrite = "use an address such as postgres://user:password@host:5432/database?sslmode=verify-full, and write /, @, :, ? and % of the password percent-encoded"

// addressError says why an address can't be used. What the parser says is left
// out where it may hold some of the password.
func addressError(address string, err error) error {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) || errors.Unwrap(parse) == nil {
		return fmt.Errorf("DATABASE_URL can't be read: %s", howToWrite)
	}
	why := errors.Unwrap(parse).Error()
	for _, secret := range secretsOf(address) {
		if showsSome(why, secret) {
			return fmt.Errorf("DATABASE_URL can't be read: %s", howToWrite)
		}
	}
	return fmt.Errorf("DATABASE_URL can't be used: %s", why)
}

// splitsPassword reports whether what is written as an address has a / or @ in
// the password as it is: then a part of it would be taken for the host or the
// database, and shown as such.
func splitsPassword(address string) bool {
	_, rest, found := strings.Cut(address, "://")
	if !found {
		return false
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	return strings.Count(authority, "@") > 1 || !strings.Contains(authority, "@") && strings.Contains(path, "@")
}

// showsSome reports whether a text has some of a secret in it: a parser that
// takes its parts for something else shows these.
func showsSome(text, secret string) bool {
	const part = 3
	if len(secret) <= part {
		return strings.Contains(text, secret)
	}
	for i := range len(secret) - part + 1 {
		if strings.Contains(text, secret[i:i+part]) {
			return true
		}
	}
	return false
}

var (
	passwordBegins = regexp.MustCompile(`(?i)password\s*=\s*`)
	nextPair       = regexp.MustCompile(`[\s&]+\w+\s*=`)
)

// secretsOf returns what may be a password in an address, however broken it is.
func secretsOf(address string) (secrets []string) {
	if _, rest, found := strings.Cut(address, "://"); found {
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			if _, password, found := strings.Cut(rest[:i], ":"); found && password != "" {
				secrets = append(secrets, password)
				if plain, err := url.PathUnescape(password); err == nil {
					secrets = append(secrets, plain)
				}
			}
		}
	}
	for _, begin := range passwordBegins.FindAllStringIndex(address, -1) {
		secret := address[begin[1]:]
		if next := nextPair.FindStringIndex(secret); next != nil {
			secret = secret[:next[0]]
		}
		if secret = strings.Trim(secret, "'"); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}
