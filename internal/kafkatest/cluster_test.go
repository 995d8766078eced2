package kafkatest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Stop()
	os.Exit(code)
}

func TestEveryListenerAnswers(t *testing.T) {
	c := Shared(t)
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secure := &tls.Config{RootCAs: roots}
	byPlain := plain.Mechanism{Username: Username, Password: Password}
	byScram, err := scram.Mechanism(scram.SHA512, Username, Password)
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		addresses []string
		tls       *tls.Config
		sasl      sasl.Mechanism
	}{
		"plain": {c.Plain(), nil, nil}, "sasl, plain": {c.SASL(), nil, byPlain}, "sasl, scram": {c.SASL(), nil, byScram},
		"tls": {c.TLS(), secure, nil}, "sasl over tls": {c.SASLTLS(), secure, byScram},
	} {
		client := &kafka.Client{Addr: kafka.TCP(one.addresses...), Transport: &kafka.Transport{TLS: one.tls, SASL: one.sasl}, Timeout: 20 * time.Second}
		if got, err := client.Metadata(t.Context(), &kafka.MetadataRequest{}); err != nil || len(got.Brokers) != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatWasWrittenOutlivesAKill(t *testing.T) {
	c := Start(t, 1)
	client := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	if _, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}}}); err != nil {
		t.Fatal(err)
	}
	produced, err := client.Produce(t.Context(), &kafka.ProduceRequest{
		Topic: "t", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("kept"))}),
	})
	if err != nil || produced.Error != nil {
		t.Fatal(err, produced)
	}
	for _, end := range []func(){c.Brokers[0].Kill, c.Brokers[0].Stop} {
		end()
		if err := c.Brokers[0].Start(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, c); got != "kept" {
			t.Errorf("read %q", got)
		}
	}
}

func read(t *testing.T, c *Cluster) string {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: c.Plain(), Topic: "t", MaxWait: 100 * time.Millisecond})
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m, err := r.ReadMessage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Value)
}
