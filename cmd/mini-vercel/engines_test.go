package main

import (
	"maps"
	"testing"
)

func TestEnginesAreThoseThatAreSet(t *testing.T) {
	for _, row := range []struct {
		name                   string
		env                    []string
		database, logs, bucket string
	}{
		{"embedded", nil, "SQLite", "SQLite", "a directory"},
		{"PostgreSQL", []string{"DATABASE_URL=postgres://db.internal/x", "MASTER_KEY=" + testSecret}, "PostgreSQL", "SQLite", "a directory"},
		{"ClickHouse", []string{"CLICKHOUSE_HOST=logs.internal"}, "SQLite", "ClickHouse", "a directory"},
		{"R2", []string{"R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=0123456789abcdef0123456789abcdef", "R2_ACCESS_KEY_ID=k", "R2_SECRET_ACCESS_KEY=s"}, "SQLite", "SQLite", "Cloudflare R2"},
		{"another service", []string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=https://s3.example.com", "R2_ACCESS_KEY_ID=k", "R2_SECRET_ACCESS_KEY=s"}, "SQLite", "SQLite", "an S3 service"},
		{"AWS", []string{"R2_BUCKET_NAME=sites"}, "SQLite", "SQLite", "Amazon S3"},
	} {
		s, err := Load(row.env)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if want := map[string]string{"database": row.database, "logs": row.logs, "bucket": row.bucket}; !maps.Equal(s.engines(), want) {
			t.Errorf("%s: %v, want %v", row.name, s.engines(), want)
		}
	}
}
