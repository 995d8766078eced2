package main

import (
	"net/url"

	"github.com/mini-vercel/mini-vercel/controlplane/store"
)

// plaintext are sentences about engines that a control plane speaks to for
// everybody on the way to read: their passwords, or what it sends.
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
	if w := s.plaintextBucket(); w != "" {
		warnings = append(warnings, w)
	}
	return warnings
}

// plaintextBucket is the sentence about the buckets, which edges speak to, too.
// An access key is never sent, but what it has signed is.
func (s *Settings) plaintextBucket() string {
	u, err := url.Parse(s.R2Endpoint)
	if err != nil || u.Scheme != "http" || isThisMachine(u.Hostname()) || s.R2BucketName == "" && s.CertsBucketName == "" {
		return ""
	}
	return "what is in the bucket goes over the network in the clear, and so do signed addresses that let others read and write it: use https in R2_ENDPOINT"
}
