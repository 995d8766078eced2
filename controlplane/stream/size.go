package stream

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Size is how many brokers the cluster has now, and partitions the topic.
func (k *Kafka) Size(ctx context.Context) (brokers, partitions int, err error) {
	if err := k.link.err(); err != nil {
		return 0, 0, err
	}
	answer, err := k.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{k.options.Topic}})
	if err != nil {
		return 0, 0, fmt.Errorf("KAFKA_BROKERS: ask Kafka for its brokers: %w", err)
	}
	return len(answer.Brokers), k.partitions, nil
}
