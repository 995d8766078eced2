package edge

import (
	"container/list"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps values up to a sum of costs. It is S3-FIFO (Yang and others,
// "FIFO queues are all you need for cache eviction", SOSP 2023) with one index:
// what is new is on probation in a small queue, from which it leaves first
// unless it was used in the meantime, so that a crawler who asks for everything
// once does not push out what is asked for always. What left that way and is
// asked for again soon has proved itself. A use is one look-up and one number:
// nothing is moved before something has to leave.
//
// It is cut into shards, so that cores seldom wait for each other.
type cache[K comparable, V any] struct {
	shards   []cacheShard[K, V]
	shardOf  func(K) uint64
	keepLast bool // the newest value stays even where it alone costs too much
	plain    bool // nothing is on probation: what is new stays longest
}

type cacheShard[K comparable, V any] struct {
	mu    sync.Mutex
	all   *simplelru.LRU[K, *cached[K, V]] // in the order in which they leave, those on probation apart
	young *list.List                       // of *cached: those on probation, the oldest in front
	ghost *simplelru.LRU[K, struct{}]      // what left on probation; at most as many as are held

	cost, youngCost int64
	max             int64

	hits, misses, evictions uint64
}

// cached is a value in a cache.
type cached[K comparable, V any] struct {
	key   K
	value V
	cost  int64
	uses  uint8         // since it was last passed over, at most maxUses
	young *list.Element // where it is on probation
}

const (
	// maxShards is a power of two.
	maxShards = 16
	// youngShare is the part of a full cache, one in so many, that is for values
	// on probation.
	youngShare = 10
	// provenUses is how often a value is used on probation to stay.
	provenUses = 2
	maxUses    = 3
)

// newCache makes a cache whose shards each hold at least leastShard.
func newCache[K comparable, V any](maxCost, leastShard int64, shardOf func(K) uint64) *cache[K, V] {
	shards := maxShards
	for shards > 1 && maxCost/int64(shards) < leastShard {
		shards /= 2
	}
	c := &cache[K, V]{shards: make([]cacheShard[K, V], shards), shardOf: shardOf}
	for i := range c.shards {
		s := &c.shards[i]
		// The number is not what bounds them; NewLRU fails for a size below 1 only.
		s.all, _ = simplelru.NewLRU[K, *cached[K, V]](math.MaxInt, nil)
		s.ghost, _ = simplelru.NewLRU[K, struct{}](math.MaxInt, nil)
		s.young = list.New()
	}
	c.resize(maxCost)
	return c
}

func (c *cache[K, V]) shard(key K) *cacheShard[K, V] {
	return &c.shards[c.shardOf(key)&uint64(len(c.shards)-1)]
}

func (c *cache[K, V]) get(key K) (value V, ok bool) {
	s := c.shard(key)
	s.mu.Lock()
	e, ok := s.all.Peek(key)
	if ok {
		s.hits++
		if e.uses < maxUses {
			e.uses++
		}
		value = e.value
	} else {
		s.misses++
	}
	s.mu.Unlock()
	return value, ok
}

// peek is get that counts neither as a use nor as a hit or a miss.
func (c *cache[K, V]) peek(key K) (value V, ok bool) {
	s := c.shard(key)
	s.mu.Lock()
	e, ok := s.all.Peek(key)
	if ok {
		value = e.value
	}
	s.mu.Unlock()
	return value, ok
}

func (c *cache[K, V]) add(key K, value V, cost int64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all.Peek(key)
	if cost > s.max && !c.keepLast {
		// Everything else would leave, and it after that.
		if ok {
			s.drop(e)
		}
		return
	}
	if ok {
		s.charge(e, cost-e.cost)
		e.value, e.cost = value, cost
	} else {
		e = &cached[K, V]{key: key, value: value, cost: cost}
		if !c.plain && !s.ghost.Remove(key) {
			e.young = s.young.PushBack(e)
		}
		s.all.Add(key, e)
		s.charge(e, cost)
	}
	s.shrink(c.keepLast)
}

func (c *cache[K, V]) remove(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.all.Peek(key); ok {
		s.drop(e)
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

// charge changes the account by what a value costs more.
func (s *cacheShard[K, V]) charge(e *cached[K, V], more int64) {
	s.cost += more
	if e.young != nil {
		s.youngCost += more
	}
}

func (s *cacheShard[K, V]) drop(e *cached[K, V]) {
	s.charge(e, -e.cost)
	if e.young != nil {
		s.young.Remove(e.young)
	}
	s.all.Remove(e.key)
}

// settle ends a value's probation.
func (s *cacheShard[K, V]) settle(e *cached[K, V]) {
	s.young.Remove(e.young)
	s.youngCost -= e.cost
	e.young, e.uses = nil, 0
	s.all.Get(e.key) // to the front
}

func (s *cacheShard[K, V]) shrink(keepLast bool) {
	for s.cost > s.max && s.all.Len() > 0 && (!keepLast || s.all.Len() > 1) {
		settled := s.all.Len() - s.young.Len()
		if settled == 0 || s.youngCost > s.max/youngShare && s.young.Len() > 1 {
			s.judge()
		} else {
			s.evict()
		}
	}
	for s.ghost.Len() > max(s.all.Len(), 1) {
		s.ghost.RemoveOldest()
	}
}

// judge ends the probation of the value that is on it longest: it stays if it
// was used, and leaves otherwise.
func (s *cacheShard[K, V]) judge() {
	e := s.young.Front().Value.(*cached[K, V])
	if e.uses >= provenUses {
		s.settle(e)
		return
	}
	s.drop(e)
	s.ghost.Add(e.key, struct{}{})
	s.evictions++
}

// evict removes the settled value that came first and was not used since it was
// last passed over.
func (s *cacheShard[K, V]) evict() {
	for {
		key, e, _ := s.all.GetOldest()
		if e.young == nil && e.uses == 0 {
			s.drop(e)
			s.evictions++
			return
		}
		if e.young == nil {
			e.uses--
		}
		s.all.Get(key) // to the front
	}
}

// values returns everything that is held, without counting as a use.
func (c *cache[K, V]) values() []V {
	var all []V
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, e := range s.all.Values() {
			all = append(all, e.value)
		}
		s.mu.Unlock()
	}
	return all
}

// count returns how many of the values that are held have such a key, and what
// they cost together.
func (c *cache[K, V]) count(such func(K) bool) (count int, cost int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, e := range s.all.Values() {
			if such(e.key) {
				count++
				cost += e.cost
			}
		}
		s.mu.Unlock()
	}
	return count, cost
}

// cacheStats are what a cache holds and did.
type cacheStats struct {
	entries                 int
	cost                    int64
	hits, misses, evictions uint64
}

func (c *cache[K, V]) stats() (t cacheStats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		t.entries += s.all.Len()
		t.cost += s.cost
		t.hits += s.hits
		t.misses += s.misses
		t.evictions += s.evictions
		s.mu.Unlock()
	}
	return t
}
