package main

import (
	"slices"
	"strings"
	"testing"
)

// TestPasswordsInTheClear are warned of, but those that stay on this machine.
func TestPasswordsInTheClear(t *testing.T) {
	key := "MASTER_KEY=" + strings.Repeat("A", 43) + "="
	for _, row := range []struct {
		env  []string
		want []string
	}{
		{nil, nil},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x"}, []string{"PostgreSQL"}},
		{[]string{key, "DATABASE_URL=postgres://u:p@localhost,db.internal/x"}, []string{"PostgreSQL"}},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x?sslmode=prefer"}, []string{"PostgreSQL"}},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x?sslmode=allow"}, []string{"PostgreSQL"}},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x?sslmode=disable"}, nil},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x?sslmode=require"}, nil},
		{[]string{key, "DATABASE_URL=postgres://u:p@db.internal/x?sslmode=verify-full"}, nil},
		{[]string{key, "DATABASE_URL=postgres://u:p@localhost/x"}, nil},
		{[]string{key, "DATABASE_URL=postgres://u:p@[::1]/x"}, nil},
		{[]string{key, "DATABASE_URL=host=/run/postgresql user=u dbname=x"}, nil},
		{[]string{"CLICKHOUSE_HOST=logs.internal"}, []string{"ClickHouse"}},
		{[]string{"CLICKHOUSE_HOST=logs.internal", "CLICKHOUSE_SSL=true"}, nil},
		{[]string{"CLICKHOUSE_HOST=127.0.0.1"}, nil},
		{[]string{"KAFKA_BROKERS=k:9092", "KAFKA_USERNAME=u", "KAFKA_PASSWORD=p"}, []string{"Kafka"}},
		{[]string{"KAFKA_BROKERS=k:9092", "KAFKA_USERNAME=u", "KAFKA_PASSWORD=p", "KAFKA_SASL_MECHANISM=scram-sha-512"}, nil},
		{[]string{"KAFKA_BROKERS=k:9092", "KAFKA_USERNAME=u", "KAFKA_PASSWORD=p", "KAFKA_SSL=true"}, nil},
		{[]string{"KAFKA_BROKERS=k:9092"}, nil},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=http://s3.internal:7070"}, []string{"R2_ENDPOINT"}},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=http://10.0.0.7"}, []string{"R2_ENDPOINT"}},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=https://s3.internal"}, nil},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=http://127.0.0.1:7070"}, nil},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=http://localhost:7070"}, nil},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=http://[::1]:7070"}, nil},
		{[]string{"R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=abc"}, nil},
		{[]string{"CERTS_BUCKET_NAME=certs", "EDGE_SECRET=" + testSecret, "R2_ENDPOINT=http://s3.internal"}, []string{"R2_ENDPOINT"}},
	} {
		s, err := Load(row.env)
		if err != nil {
			t.Fatal(err)
		}
		got := s.plaintext()
		if !slices.EqualFunc(got, row.want, strings.Contains) {
			t.Errorf("%v: %q", row.env, got)
		}
	}
}
