package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// KafkaOptions say which cluster a stream is in, and how it is spoken to.
type KafkaOptions struct {
	Brokers  []string       // host:port of some, from which the others are learnt
	ClientID string         // names this client in the brokers' logs and quotas. Default: mini-vercel
	TLS      *tls.Config    // nil: none
	SASL     sasl.Mechanism // nil: none

	// Topic has the events; what can't be read goes to the one with "-dead" behind
	// it, and the consumer group is called the same. Default:
	// mini-vercel-build-events
	Topic string
	// Partitions is how many the topic gets where it is made. Default: 12
	Partitions int

	// StartTime is how long a start does not believe what brokers refuse: those
	// that are just starting refuse what they take later. Default: 5 s
	StartTime time.Duration

	// StoreEvery is how long events wait for others, so that the log store gets
	// many at once. Default: 500 ms
	StoreEvery time.Duration
}

func (o KafkaOptions) withDefaults() KafkaOptions {
	if o.ClientID == "" {
		o.ClientID = "mini-vercel"
	}
	if o.Topic == "" {
		o.Topic = "mini-vercel-build-events"
	}
	if o.Partitions == 0 {
		o.Partitions = 12
	}
	if o.StartTime == 0 {
		o.StartTime = 5 * time.Second
	}
	if o.StoreEvery == 0 {
		o.StoreEvery = 500 * time.Millisecond
	}
	return o
}

func (o KafkaOptions) deadTopic() string { return o.Topic + "-dead" }

func (o KafkaOptions) group() string { return o.Topic }

func (o KafkaOptions) transport(ctx context.Context) *kafka.Transport {
	return &kafka.Transport{
		ClientID: o.ClientID, TLS: o.TLS, SASL: o.SASL, Context: ctx, DialTimeout: callTime, IdleTimeout: 30 * time.Second,
		MetadataTTL: metadataTime, MetadataTopics: []string{o.Topic, o.deadTopic()},
	}
}

func (o KafkaOptions) dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: o.ClientID, Timeout: callTime, DualStack: true, TLS: o.TLS, SASLMechanism: o.SASL}
}

// Errors that say which setting is wrong.
var (
	ErrUnreachable error = errors.New("KAFKA_BROKERS: no broker can be reached")
	ErrCredentials error = controlplane.SettingsError("KAFKA_USERNAME, KAFKA_PASSWORD: the brokers refuse the user name or the password")
	ErrMechanism   error = controlplane.SettingsError("KAFKA_SASL_MECHANISM: the brokers do not offer this SASL mechanism")
	ErrTLS         error = controlplane.SettingsError("KAFKA_SSL, KAFKA_SSL_CA: TLS does not come about")
	ErrProtocol    error = controlplane.SettingsError("KAFKA_SSL, KAFKA_USERNAME, KAFKA_PASSWORD: a broker ended the connection: it may want TLS or a password, or have no use for what it is given")
	ErrTopic       error = controlplane.SettingsError("KAFKA_TOPIC: a topic can't be used or made")
)

// dial finds out whether a broker answers, and if none does, why. It asks all at
// once: one that hangs holds up nobody.
func (o KafkaOptions) dial(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var dialing sync.WaitGroup
	defer dialing.Wait()
	defer cancel()
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer, len(o.Brokers))
	for _, address := range o.Brokers {
		dialing.Go(func() { answers <- answer{address, o.dialOne(ctx, address)} })
	}
	var all []string
	cause := ErrUnreachable
	for range o.Brokers {
		a := <-answers
		address, err := a.address, a.err
		if err == nil {
			return nil
		}
		if kind := o.classify(err); kind != ErrUnreachable { //nolint:errorlint // it is one of ours, unwrapped
			cause = kind
		}
		all = append(all, fmt.Sprintf("%s: %v", address, err))
	}
	slices.Sort(all)
	return fmt.Errorf("%w (%s)", cause, strings.Join(all, "; "))
}

func (o KafkaOptions) dialOne(ctx context.Context, address string) error {
	conn, err := o.dialer().DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return err
	}
	_, err = conn.Brokers()
	return err
}

// classify tells from how a connection failed what may be wrong.
func (o KafkaOptions) classify(err error) error {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	switch {
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		return ErrCredentials
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		return ErrMechanism
	case errors.As(err, &record), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &alert):
		return ErrTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "connection reset"):
		if o.TLS != nil {
			return ErrTLS
		}
		return ErrProtocol
	}
	return ErrUnreachable
}
