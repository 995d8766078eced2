package main

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
)

// TestClickHouseAtTheStart says what stops a start and what does not.
func TestClickHouseAtTheStart(t *testing.T) {
	server := clickhousetest.Start(t)
	dir, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	at := []string{"CLICKHOUSE_HOST=" + server.Host, "CLICKHOUSE_PORT=" + strconv.Itoa(server.Port), "CLICKHOUSE_USERNAME=" + server.Username, "CLICKHOUSE_PASSWORD=" + server.Password}
	for _, test := range []struct {
		name      string
		env       []string
		err, warn string
	}{
		{"all is well", nil, "", ""},
		{"nobody there", []string{"CLICKHOUSE_PORT=1"}, "", "CLICKHOUSE_HOST, CLICKHOUSE_PORT, CLICKHOUSE_SSL"},
		{"a wrong password", []string{"CLICKHOUSE_PASSWORD=not-the-secret"}, "CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD: ClickHouse refuses", ""},
		{"a user who may not write", []string{"CLICKHOUSE_USERNAME=" + server.ReadOnly}, "CLICKHOUSE_USERNAME, CLICKHOUSE_DATABASE: ClickHouse lets the user do too little: the user", ""},
		{"an unknown CA", []string{"CLICKHOUSE_SSL=true", "CLICKHOUSE_PORT=" + strconv.Itoa(server.TLSPort)}, "CLICKHOUSE_SSL_CA: the certificate", ""},
		{"a CA that is no file", []string{"CLICKHOUSE_SSL=true", "CLICKHOUSE_SSL_CA=/nonexistent"}, "CLICKHOUSE_SSL_CA", ""},
		{"a CA without certificate", []string{"CLICKHOUSE_SSL=true", "CLICKHOUSE_SSL_CA=main.go"}, "CLICKHOUSE_SSL_CA=main.go: there is no certificate", ""},
		{"TLS", []string{"CLICKHOUSE_SSL=true", "CLICKHOUSE_SSL_CA=" + server.CAFile, "CLICKHOUSE_PORT=" + strconv.Itoa(server.TLSPort)}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Load(append(append([]string{}, at...), test.env...))
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			store, err := s.openLogs(t.Context(), dir, slog.New(slog.NewTextHandler(&log, nil)))
			if err == nil {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}
			if (err == nil) != (test.err == "") || err != nil && (!strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%v", err)
			}
			if said := log.String(); (said == "") != (test.warn == "") || !strings.Contains(said, test.warn) || strings.Count(said, "\n") > 1 {
				t.Errorf("it logs: %s", said)
			}
			if err != nil && strings.Contains(err.Error(), "not-the-secret") || strings.Contains(log.String(), server.Password) {
				t.Error("the password is told")
			}
		})
	}
}
