// Package kafkatest runs Apache Kafka for tests: a broker in KRaft mode, or a
// few, on free ports of loopback.
package kafkatest
