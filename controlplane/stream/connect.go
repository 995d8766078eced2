package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// link is whether the cluster was reached and has the topics. Until then a
// control plane serves everything that is not for Kafka.
type link struct {
	up chan struct{} // closed when it was

	mu  sync.Mutex
	why error // of the last try, while it was not
}

// err says why the cluster was not reached yet; nil: it was.
func (l *link) err() error {
	select {
	case <-l.up:
		return nil
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = err
}

// wait returns when the cluster was reached.
func (l *link) wait(ctx context.Context) error {
	select {
	case <-l.up:
		return nil
	case <-ctx.Done():
		if why := l.err(); why != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), why)
		}
		return ctx.Err()
	}
}

// open connects, or has it tried again and again where that may end by itself.
func (k *Kafka) open(ctx context.Context) error {
	doubt, cancel := context.WithTimeout(ctx, k.options.StartTime)
	defer cancel()
	for {
		err := k.connect(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		k.link.fail(err)
		if !isSettings(err) {
			k.log.Warn("build events can't be taken until Kafka answers: builders keep them. If this lasts, look at the settings that the error names", "error", err)
			return k.spawn(k.keepConnecting)
		}
		if sleep(doubt, mostWait) != nil {
			return err
		}
	}
}

func (k *Kafka) keepConnecting() {
	for wait := leastWait; sleep(k.ctx, wait/2+rand.N(wait)) == nil; wait = min(2*wait, mostBackoff) {
		err := k.connect(k.ctx)
		if err == nil {
			k.log.Info("Kafka answers: build events are taken")
			return
		}
		if k.ctx.Err() != nil {
			return
		}
		k.link.fail(err)
		k.complain("build events can't be taken yet", "error", err)
	}
}

// connect tries once to reach a broker and to have the topics. Its errors name
// the settings.
func (k *Kafka) connect(ctx context.Context) error {
	err := k.options.dial(ctx)
	if err == nil {
		err = k.openTopics(ctx)
	}
	if err != nil {
		if !isSettings(err) && !errors.Is(err, ErrUnreachable) {
			err = fmt.Errorf("KAFKA_BROKERS: %w", err)
		}
		return err
	}
	for p := range k.partitions {
		k.writers = append(k.writers, &writer{kafka: k, partition: p})
	}
	close(k.link.up)
	return nil
}

// isSettings is whether only a person can end an error.
func isSettings(err error) bool {
	var refused controlplane.SettingsError
	return errors.As(err, &refused)
}
