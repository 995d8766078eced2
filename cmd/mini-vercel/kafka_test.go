package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
)

// kafkaSettings are settings without what most tests don't set.
func kafkaSettings(t *testing.T, env ...string) *Settings {
	t.Helper()
	s, err := Load(append(env, "DATA_DIR="+t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openKafka(t *testing.T, s *Settings) error {
	t.Helper()
	l, err := logs.OpenSQLite(t.Context(), filepath.Join(s.DataDir, "logs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	k, err := s.openStream(t.Context(), l, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		return err
	}
	if _, ok := k.(*stream.Kafka); !ok {
		t.Errorf("the stream is a %T", k)
	}
	if err := k.Parts(t.Context())["kafka"]; err != nil {
		t.Errorf("it does not answer: %v", err)
	}
	return k.Close()
}

func TestEveryWayToConnectToKafka(t *testing.T) {
	c := kafkatest.Shared(t)
	user := []string{"KAFKA_USERNAME=" + kafkatest.Username, "KAFKA_PASSWORD=" + kafkatest.Password}
	overTLS := []string{"KAFKA_SSL=1", "KAFKA_SSL_CA=" + c.CAFile}
	at := func(brokers []string, more ...[]string) (env []string) {
		env = []string{"KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC=connections"}
		for _, m := range more {
			env = append(env, m...)
		}
		return env
	}
	if err := openKafka(t, kafkaSettings(t, at(c.Plain())...)); err != nil { // makes the topic
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"without anything":       at(c.Plain()),
		"a broker of two is up":  at([]string{"127.0.0.1:1", c.Plain()[0]}),
		"TLS":                    at(c.TLS(), overTLS),
		"PLAIN":                  at(c.SASL(), user),
		"SCRAM-SHA-256":          at(c.SASL(), user, []string{"KAFKA_SASL_MECHANISM=scram-sha-256"}),
		"SCRAM-SHA-512":          at(c.SASL(), user, []string{"KAFKA_SASL_MECHANISM=scram-sha-512"}),
		"PLAIN over TLS":         at(c.SASLTLS(), user, overTLS),
		"SCRAM-SHA-512 over TLS": at(c.SASLTLS(), user, overTLS, []string{"KAFKA_SASL_MECHANISM=scram-sha-512"}),
	} {
		t.Run(name, func(t *testing.T) {
			if err := openKafka(t, kafkaSettings(t, env...)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAStartWithoutKafka goes on, and says which setting to look at.
func TestAStartWithoutKafka(t *testing.T) {
	var log bytes.Buffer
	k, err := kafkaSettings(t, "KAFKA_BROKERS=127.0.0.1:1,127.0.0.1:2").openStream(t.Context(), nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if said := log.String(); !strings.Contains(said, "level=WARN") || !strings.Contains(said, "KAFKA_BROKERS: no broker can be reached (127.0.0.1:1: ") {
		t.Errorf("it says %s", said)
	}
}

func TestKafkaThatCantBeUsedNamesTheSetting(t *testing.T) {
	c := kafkatest.Shared(t)
	kafkaStart = time.Millisecond
	t.Cleanup(func() { kafkaStart = 5 * time.Second })
	broken := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(brokers []string, more ...string) []string {
		return append([]string{"KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC=refused"}, more...)
	}
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"a wrong password":              {at(c.SASL(), "KAFKA_USERNAME="+kafkatest.Username, "KAFKA_PASSWORD=secret"), "KAFKA_USERNAME, KAFKA_PASSWORD: the brokers refuse"},
		"a wrong password, SCRAM":       {at(c.SASL(), "KAFKA_USERNAME="+kafkatest.Username, "KAFKA_PASSWORD=secret", "KAFKA_SASL_MECHANISM=scram-sha-256"), "KAFKA_USERNAME, KAFKA_PASSWORD: the brokers refuse"},
		"an unknown user, over TLS":     {at(c.SASLTLS(), "KAFKA_USERNAME=nobody", "KAFKA_PASSWORD=secret", "KAFKA_SSL=1", "KAFKA_SSL_CA="+c.CAFile), "KAFKA_USERNAME, KAFKA_PASSWORD: the brokers refuse"},
		"no password where one is due":  {at(c.SASL()), "KAFKA_SSL, KAFKA_USERNAME, KAFKA_PASSWORD: a broker ended the connection"},
		"no TLS where it is due":        {at(c.TLS()), "KAFKA_SSL, KAFKA_USERNAME, KAFKA_PASSWORD: a broker ended the connection"},
		"TLS where there is none":       {at(c.Plain(), "KAFKA_SSL=1", "KAFKA_SSL_CA="+c.CAFile), "KAFKA_SSL, KAFKA_SSL_CA: TLS does not come about"},
		"an unknown CA":                 {at(c.TLS(), "KAFKA_SSL=1"), "KAFKA_SSL, KAFKA_SSL_CA: TLS does not come about"},
		"a CA file without certificate": {at(c.TLS(), "KAFKA_SSL=1", "KAFKA_SSL_CA="+broken), "KAFKA_SSL_CA="},
		"a CA file that is missing":     {at(c.TLS(), "KAFKA_SSL=1", "KAFKA_SSL_CA="+broken+"x"), "KAFKA_SSL_CA: open"},
		"a topic that may not be made":  {at(c.SASL(), "KAFKA_USERNAME="+kafkatest.LimitedUsername, "KAFKA_PASSWORD="+kafkatest.LimitedPassword), "KAFKA_TOPIC: a topic can't be used or made: refused: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := openKafka(t, kafkaSettings(t, tt.env...))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q in one line", err, tt.want)
			}
			t.Log(err)
		})
	}
}
