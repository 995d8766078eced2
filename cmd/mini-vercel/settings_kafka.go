package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
)

// KafkaSettings say where Kafka is, if build events go through it.
type KafkaSettings struct {
	KafkaBrokers       string `env:"KAFKA_BROKERS" address:"true" help:"Brokers of a Kafka cluster, as host:port with commas, through which the events of builds go to the log store, instead of straight to it. See docs/kafka.md."`
	KafkaUsername      string `env:"KAFKA_USERNAME" help:"User name for SASL."`
	KafkaPassword      string `env:"KAFKA_PASSWORD" secret:"true" help:"That user's password."`
	KafkaSASLMechanism string `env:"KAFKA_SASL_MECHANISM" default:"plain" help:"How they are sent: plain, scram-sha-256 or scram-sha-512."`
	KafkaSSL           bool   `env:"KAFKA_SSL" help:"Connect by TLS."`
	KafkaSSLCA         string `env:"KAFKA_SSL_CA" help:"File in PEM with the roots that the brokers' certificates are trusted by. Default: the system's."`
	KafkaClientID      string `env:"KAFKA_CLIENT_ID" default:"mini-vercel" help:"Name of this client in the brokers' logs and quotas."`
	KafkaTopic         string `env:"KAFKA_TOPIC" default:"mini-vercel-build-events" help:"Topic of the events, and name of the consumer group. What is no event goes to the topic with -dead behind it."`
	KafkaPartitions    int    `env:"KAFKA_PARTITIONS" default:"12" help:"Partitions of the topic where it is missing and made."`
}

// kafkaLineMax is the longest line of a log that Kafka's messages have room for
// however it is escaped.
const kafkaLineMax = 128 // KiB

// kafkaStart is how long a start does not believe what brokers refuse; a variable
// for tests.
var kafkaStart = 5 * time.Second

var kafkaTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,240}$`)

func (s *Settings) checkKafka() error {
	if s.KafkaBrokers == "" {
		for name, set := range map[string]bool{
			"KAFKA_USERNAME": s.KafkaUsername != "", "KAFKA_PASSWORD": s.KafkaPassword != "", "KAFKA_SSL": s.KafkaSSL, "KAFKA_SSL_CA": s.KafkaSSLCA != "",
		} {
			if set {
				return fmt.Errorf("%s is set, but KAFKA_BROKERS is not: set both to send build events through Kafka, or neither", name)
			}
		}
		return nil
	}
	for i, broker := range s.kafkaBrokers() {
		host, port, err := net.SplitHostPort(broker)
		if err != nil || host == "" || port == "" || strings.Contains(broker, "/") {
			return fmt.Errorf("KAFKA_BROKERS: number %d of the brokers is not host:port (it is not shown)", i+1)
		}
	}
	switch {
	case (s.KafkaUsername == "") != (s.KafkaPassword == ""):
		return errors.New("KAFKA_USERNAME and KAFKA_PASSWORD: set both or neither")
	case s.KafkaSASLMechanism != "plain" && s.KafkaSASLMechanism != "scram-sha-256" && s.KafkaSASLMechanism != "scram-sha-512":
		return fmt.Errorf("KAFKA_SASL_MECHANISM=%s: use plain, scram-sha-256 or scram-sha-512", s.KafkaSASLMechanism)
	case s.KafkaSSLCA != "" && !s.KafkaSSL:
		return errors.New("KAFKA_SSL_CA is set, but KAFKA_SSL is not: set both to connect by TLS, or neither")
	case !kafkaTopic.MatchString(s.KafkaTopic):
		return fmt.Errorf("KAFKA_TOPIC=%s: use up to 240 letters, digits, dots, underscores and hyphens", s.KafkaTopic)
	case s.KafkaPartitions == 0:
		return errors.New("KAFKA_PARTITIONS=0: use at least 1")
	case s.LogLineMax > kafkaLineMax:
		return fmt.Errorf("LOG_LINE_MAX_KIB=%d: with KAFKA_BROKERS a line of a log has at most %d KiB, as it has to fit in a message", s.LogLineMax, kafkaLineMax)
	}
	return nil
}

func (s *KafkaSettings) kafkaBrokers() (brokers []string) {
	for broker := range strings.SplitSeq(s.KafkaBrokers, ",") {
		brokers = append(brokers, strings.TrimSpace(broker))
	}
	return brokers
}

// kafka says where Kafka is, for the stream.
func (s *KafkaSettings) kafka() (stream.KafkaOptions, error) {
	o := stream.KafkaOptions{Brokers: s.kafkaBrokers(), ClientID: s.KafkaClientID, Topic: s.KafkaTopic, Partitions: s.KafkaPartitions}
	if s.KafkaSSL {
		var err error
		if o.TLS, err = trusting("KAFKA_SSL_CA", s.KafkaSSLCA); err != nil {
			return o, err
		}
	}
	if s.KafkaUsername == "" {
		return o, nil
	}
	algorithms := map[string]scram.Algorithm{"scram-sha-256": scram.SHA256, "scram-sha-512": scram.SHA512}
	if algorithm, ok := algorithms[s.KafkaSASLMechanism]; ok {
		var err error
		if o.SASL, err = scram.Mechanism(algorithm, s.KafkaUsername, s.KafkaPassword); err != nil {
			return o, errors.New("KAFKA_USERNAME and KAFKA_PASSWORD can't be prepared for SCRAM (RFC 4013): use other characters")
		}
		return o, nil
	}
	o.SASL = sasl.Mechanism(plain.Mechanism{Username: s.KafkaUsername, Password: s.KafkaPassword})
	return o, nil
}

// openStream connects to Kafka where it is set. Brokers that are away are used
// when they are back; what only a person can mend stops the start.
func (s *Settings) openStream(ctx context.Context, logs controlplane.LogStore, log *slog.Logger) (controlplane.Stream, error) {
	if s.KafkaBrokers == "" {
		return stream.NewDirect(logs), nil
	}
	o, err := s.kafka()
	if err != nil {
		return nil, err
	}
	o.StartTime = kafkaStart
	k, err := stream.OpenKafka(ctx, o, logs, log)
	if err != nil {
		return nil, err // names the variables
	}
	return k, nil
}

// streamPart is Kafka. Topics that are missing are made, as at a start.
func (s *Settings) streamPart() part {
	return part{"build events", s.KafkaBrokers, func(ctx context.Context) (string, error) {
		o, err := s.kafka()
		if err != nil {
			return "", err // names the variable
		}
		o.StartTime = kafkaStart
		k, err := stream.OpenKafka(ctx, o, nil, slog.New(slog.DiscardHandler)) // it takes no events before it is started
		if err != nil {
			return "", err // names the variables
		}
		defer k.Close()
		brokers, partitions, err := k.Size(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("Kafka, brokers: %d, partitions of %s: %d", brokers, s.KafkaTopic, partitions), nil
	}}
}
