package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	topicRetention = 7 * 24 * time.Hour
	deadRetention  = 30 * 24 * time.Hour
	// maxMessageBytes is what a topic takes in one write, Kafka's own default.
	maxMessageBytes = 1<<20 + 12
	// writeSlack is what Kafka adds to the records of a write.
	writeSlack = 16 << 10
)

// openTopics looks at the topics, and makes those that are missing.
func (k *Kafka) openTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	o := k.options
	for _, topic := range []struct {
		name       string
		partitions int
		retention  time.Duration
	}{{o.Topic, o.Partitions, topicRetention}, {o.deadTopic(), 1, deadRetention}} {
		found, brokers, err := k.lookAt(ctx, topic.name)
		if err == nil && found == 0 {
			err = k.makeTopic(ctx, topic.name, topic.partitions, brokers, topic.retention)
			for err == nil && found == 0 { // brokers hear of it one after the other
				if found, _, err = k.lookAt(ctx, topic.name); err == nil && found == 0 {
					err = sleep(ctx, metadataTime/10)
				}
			}
		}
		if errors.Is(err, kafka.TopicAuthorizationFailed) && !errors.Is(err, ErrTopic) {
			err = fmt.Errorf("%w: %s: %w; allow it with: %s", ErrTopic, topic.name, err, k.tool("kafka-acls.sh", "--add --allow-principal User:NAME --operation Read --operation Write --operation Describe --topic", topic.name, "--group", o.group()))
		}
		if isSettings(err) {
			return err // names the topic
		}
		if err != nil {
			return fmt.Errorf("topic %s: %w", topic.name, err)
		}
		if topic.name == o.Topic {
			k.partitions = found
		}
	}
	return k.readConfig(ctx)
}

// lookAt says how many partitions a topic has, 0: there is none, and how many
// brokers there are.
func (k *Kafka) lookAt(ctx context.Context, topic string) (partitions, brokers int, err error) {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		answer, err := k.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return 0, 0, fmt.Errorf("ask for it: %w", err)
		}
		for _, t := range answer.Topics {
			if t.Name != topic {
				continue
			}
			err = t.Error
			partitions = len(t.Partitions)
		}
		switch {
		case errors.Is(err, kafka.UnknownTopicOrPartition):
			return 0, len(answer.Brokers), nil
		case err == nil:
			return partitions, len(answer.Brokers), nil
		case !errors.Is(err, kafka.LeaderNotAvailable) || sleep(ctx, wait) != nil:
			return 0, 0, fmt.Errorf("ask for it: %w", err)
		}
	}
}

// makeTopic makes a topic, unless another control plane was faster. While not all
// brokers have started it would get too few replicas, for ever: it waits for as
// many as are named.
func (k *Kafka) makeTopic(ctx context.Context, name string, partitions, brokers int, retention time.Duration) error {
	replicas := min(3, max(brokers, len(k.options.Brokers)))
	config := []kafka.ConfigEntry{
		{ConfigName: "retention.ms", ConfigValue: strconv.FormatInt(retention.Milliseconds(), 10)},
		{ConfigName: "cleanup.policy", ConfigValue: "delete"},
		{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(maxMessageBytes)},
	}
	if replicas >= 3 {
		config = append(config, kafka.ConfigEntry{ConfigName: "min.insync.replicas", ConfigValue: "2"})
	}
	answer, err := k.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: name, NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: config,
	}}})
	if err == nil {
		err = answer.Errors[name]
	}
	switch {
	case err == nil:
		k.log.Info("made a topic in Kafka", "topic", name, "partitions", partitions, "replicas", replicas)
		return nil
	case errors.Is(err, kafka.TopicAlreadyExists):
		return nil
	}
	var refused kafka.Error
	few := errors.Is(err, kafka.InvalidReplicationFactor) && brokers < replicas
	if !few && (!errors.As(err, &refused) || refused.Temporary()) {
		return fmt.Errorf("make it: %w", err)
	}
	command := []string{"--create --topic", name, "--partitions", strconv.Itoa(partitions), "--replication-factor", strconv.Itoa(replicas)}
	for _, c := range config {
		command = append(command, "--config", c.ConfigName+"="+c.ConfigValue)
	}
	if few {
		return fmt.Errorf("it is made with %d replicas when as many brokers are there as are named, and now there are %d. If that is all, name so many, or make it with: %s", replicas, brokers, k.tool("kafka-topics.sh", command...))
	}
	return fmt.Errorf("%w: %s: %w; make it with: %s", ErrTopic, name, err, k.tool("kafka-topics.sh", command...))
}

// tool is a command line for a person.
func (k *Kafka) tool(name string, args ...string) string {
	return strings.Join(append([]string{name, "--bootstrap-server", k.options.Brokers[0]}, args...), " ")
}

// readConfig learns how long the topic keeps events and how much it takes at
// once, where this client may know.
func (k *Kafka) readConfig(ctx context.Context) error {
	k.batchBytes = maxMessageBytes - writeSlack
	answer, err := k.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: k.options.Topic, ConfigNames: []string{"retention.ms", "max.message.bytes", "cleanup.policy"},
	}}})
	if err != nil {
		return fmt.Errorf("topic %s: ask for its settings: %w", k.options.Topic, err)
	}
	for _, resource := range answer.Resources {
		if resource.Error != nil {
			k.log.Warn("the settings of a topic in Kafka can't be read", "topic", k.options.Topic, "error", resource.Error)
			continue
		}
		for _, c := range resource.ConfigEntries {
			n, _ := strconv.ParseInt(c.ConfigValue, 10, 64) // of those that are numbers
			switch c.ConfigName {
			case "retention.ms":
				k.retention = time.Duration(n) * time.Millisecond
				if n < 0 {
					k.retention = 100 * 365 * 24 * time.Hour // for ever
				}
			case "max.message.bytes":
				if n < maxMessageBytes {
					return fmt.Errorf("%w: %s: max.message.bytes is %d; set it to %d at least", ErrTopic, k.options.Topic, n, maxMessageBytes)
				}
			case "cleanup.policy":
				if slices.Contains(strings.Split(c.ConfigValue, ","), "compact") {
					return fmt.Errorf("%w: %s: cleanup.policy is %s, which throws away lines of logs; set it to delete", ErrTopic, k.options.Topic, c.ConfigValue)
				}
			}
		}
	}
	return nil
}

// sleep waits unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
