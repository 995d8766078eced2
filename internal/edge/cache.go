package edge

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps values up to a sum of costs; the least recently used leave first.
// It is cut into shards, so that cores seldom wait for each other.
type cache[K comparable, V any] struct {
	shards   []cacheShard[K, V]
	shardOf  func(K) uint64
	keepLast bool // the newest value stays even where it alone costs too much
}

type cacheShard[K comparable, V any] struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[K, costed[V]]
	cost int64
	max  int64
}

type costed[V any] struct {
	value V
	cost  int64
}

// maxShards is a power of two.
const maxShards = 16

// newCache makes a cache whose shards each hold at least leastShard.
func newCache[K comparable, V any](maxCost, leastShard int64, shardOf func(K) uint64) *cache[K, V] {
	shards := maxShards
	for shards > 1 && maxCost/int64(shards) < leastShard {
		shards /= 2
	}
	c := &cache[K, V]{shards: make([]cacheShard[K, V], shards), shardOf: shardOf}
	for i := range c.shards {
		// The number is not what bounds it; NewLRU fails for a size below 1 only.
		c.shards[i].lru, _ = simplelru.NewLRU[K, costed[V]](math.MaxInt, nil)
	}
	c.resize(maxCost)
	return c
}

func (c *cache[K, V]) shard(key K) *cacheShard[K, V] {
	return &c.shards[c.shardOf(key)&uint64(len(c.shards)-1)]
}

func (c *cache[K, V]) get(key K) (V, bool) {
	s := c.shard(key)
	s.mu.Lock()
	v, ok := s.lru.Get(key)
	s.mu.Unlock()
	return v.value, ok
}

// peek is get that does not count as a use.
func (c *cache[K, V]) peek(key K) (V, bool) {
	s := c.shard(key)
	s.mu.Lock()
	v, ok := s.lru.Peek(key)
	s.mu.Unlock()
	return v.value, ok
}

func (c *cache[K, V]) add(key K, value V, cost int64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.lru.Peek(key); ok {
		s.cost -= old.cost
	}
	s.lru.Add(key, costed[V]{value, cost})
	s.cost += cost
	s.shrink(c.keepLast)
}

func (c *cache[K, V]) remove(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.lru.Peek(key); ok {
		s.cost -= old.cost
		s.lru.Remove(key)
	}
}

// resize changes what the cache may hold; what is too much leaves at once.
func (c *cache[K, V]) resize(maxCost int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.max = maxCost / int64(len(c.shards))
		s.shrink(c.keepLast)
		s.mu.Unlock()
	}
}

func (s *cacheShard[K, V]) shrink(keepLast bool) {
	for s.cost > s.max && s.lru.Len() > 0 && (!keepLast || s.lru.Len() > 1) {
		_, old, _ := s.lru.RemoveOldest()
		s.cost -= old.cost
	}
}

// values returns everything that is held, without counting as a use.
func (c *cache[K, V]) values() []V {
	var all []V
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, v := range s.lru.Values() {
			all = append(all, v.value)
		}
		s.mu.Unlock()
	}
	return all
}

// size returns how many values are held, and what they cost together.
func (c *cache[K, V]) size() (count int, cost int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		count += s.lru.Len()
		cost += s.cost
		s.mu.Unlock()
	}
	return count, cost
}
