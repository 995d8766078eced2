package main

import (
	"github.com/mini-vercel/mini-vercel/controlplane/store"
)

// plaintext are sentences about engines whose password crosses a network for
// everybody on the way to read.
func (s *Settings) plaintext() (warnings []string) {
	if s.DatabaseURL != "" && store.MayBePlain(s.DatabaseURL) {
		warnings = append(warnings, "the connection to PostgreSQL has TLS only where nobody on the way says otherwise: add sslmode=verify-full to DATABASE_URL, or sslmode=disable if it is to have none")
	}
	if s.ClickHouseHost != "" && !s.ClickHouseSSL && !isThisMachine(s.ClickHouseHost) {
		warnings = append(warnings, "the password for ClickHouse and the logs go over the network in the clear: set CLICKHOUSE_SSL")
	}
	if s.KafkaBrokers != "" && s.KafkaUsername != "" && !s.KafkaSSL && s.KafkaSASLMechanism == "plain" {
		warnings = append(warnings, "the password for Kafka goes over the network in the clear: set KAFKA_SSL, or KAFKA_SASL_MECHANISM to a scram one")
	}
	return warnings
}
