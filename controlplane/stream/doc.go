// Package stream takes the events of builders to the log store: within this
// process, or through Kafka.
package stream
