package edge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

func TestCacheIsBounded(t *testing.T) {
	c := newCache[string, int](1000, 1, hashString)
	for i := range 5000 {
		c.add(fmt.Sprint(i), i, int64(1+i%20))
		if i%3 == 0 {
			c.get(fmt.Sprint(i / 2))
		}
	}
	if s := c.stats(); s.cost > 1000 || s.entries == 0 || s.evictions != uint64(5000-s.entries) {
		t.Errorf("%+v", s)
	}
	for i := range c.shards {
		if s := &c.shards[i]; s.ghost.Len() > s.all.Len() {
			t.Errorf("%d are remembered for %d that are held", s.ghost.Len(), s.all.Len())
		}
	}
	c.resize(100)
	if s := c.stats(); s.cost > 100 {
		t.Errorf("after the resize: %+v", s)
	}
	c.resize(0)
	if s := c.stats(); s.entries != 0 {
		t.Errorf("resized to nothing: %+v", s)
	}
}

func TestCacheKeepsAccount(t *testing.T) {
	c := newCache[int, int](1<<20, 1, func(k int) uint64 { return uint64(k) })
	random := rand.New(rand.NewPCG(1, 1))
	costs := map[int]int64{}
	for range 10_000 {
		key, cost := random.IntN(100), int64(random.IntN(50))
		if random.IntN(3) == 0 {
			c.remove(key)
			delete(costs, key)
			continue
		}
		c.add(key, key, cost)
		costs[key] = cost
	}
	want := int64(0)
	for _, cost := range costs {
		want += cost
	}
	if s := c.stats(); s.entries != len(costs) || s.cost != want {
		t.Errorf("%+v, want %d and %d", s, len(costs), want)
	}
	// Those on probation have an account of their own.
	for key := range costs {
		c.remove(key)
	}
	for i := range c.shards {
		if s := &c.shards[i]; s.cost != 0 || s.youngCost != 0 || s.young.Len() != 0 {
			t.Errorf("nothing is held, and costs %d, on probation %d for %d", s.cost, s.youngCost, s.young.Len())
		}
	}
}

func TestCacheCountsHitsAndMisses(t *testing.T) {
	c := newCache[int, int](100, 1000, func(int) uint64 { return 0 })
	c.add(1, 1, 1)
	c.get(1)
	c.get(1)
	c.get(2)
	c.peek(1)
	c.peek(2)
	if s := c.stats(); s.hits != 2 || s.misses != 1 || s.evictions != 0 {
		t.Errorf("%+v", s)
	}
}

// TestAHotSetSurvivesAScan reads ten times as much as the cache holds, once
// each, and then asks for what was hot before.
func TestAHotSetSurvivesAScan(t *testing.T) {
	const size, hot = 1000, 500
	c := newCache[int, int](size, size+1, func(int) uint64 { return 0 })
	lru, _ := simplelru.NewLRU[int, int](size, nil)
	use := func(key int) {
		if _, ok := c.get(key); !ok {
			c.add(key, key, 1)
		}
		if _, ok := lru.Get(key); !ok {
			lru.Add(key, key)
		}
	}
	for range 4 {
		for key := range hot {
			use(key)
		}
	}
	for key := range 10 * size {
		use(hot + key)
	}
	for key := range hot {
		if _, ok := c.peek(key); !ok {
			t.Fatalf("%d is gone", key)
		}
		if lru.Contains(key) {
			t.Fatal("an LRU keeps it too: this shows nothing")
		}
	}
	// What is hot next takes the place of what is not any more.
	for range 12 {
		for key := range size / 2 {
			use(1_000_000 + key)
			use(2_000_000 + key) // more than fits on probation
		}
	}
	held := 0
	for key := range size / 2 {
		if _, ok := c.peek(1_000_000 + key); ok {
			held++
		}
	}
	if held < size/4 {
		t.Errorf("of what is hot now %d are held", held)
	}
}

// TestHitRatioIsAtLeastThatOfAnLRU counts hits on traces in which few keys are
// asked for often, at several sizes of the cache.
func TestHitRatioIsAtLeastThatOfAnLRU(t *testing.T) {
	const keys, requests = 20_000, 300_000
	for _, size := range []int{200, 1000, 5000} {
		for _, exponent := range []float64{1.01, 1.1, 1.3} {
			random := rand.New(rand.NewPCG(1, uint64(size)))
			zipf := rand.NewZipf(random, exponent, 1, keys-1)
			c := newCache[uint64, bool](int64(size), math.MaxInt64, func(uint64) uint64 { return 0 })
			lru, _ := simplelru.NewLRU[uint64, bool](size, nil)
			hits, lruHits := 0, 0
			for range requests {
				key := zipf.Uint64()
				if _, ok := c.get(key); ok {
					hits++
				} else {
					c.add(key, true, 1)
				}
				if _, ok := lru.Get(key); ok {
					lruHits++
				} else {
					lru.Add(key, true)
				}
			}
			t.Logf("%d of %d keys, exponent %.2f: %.3f, LRU %.3f", size, keys, exponent, float64(hits)/requests, float64(lruHits)/requests)
			if hits < lruHits {
				t.Errorf("%d of %d keys, exponent %.2f: %d hits, an LRU has %d", size, keys, exponent, hits, lruHits)
			}
		}
	}
}

func TestCacheForgetsWhatIsNotUsed(t *testing.T) {
	c := newCache[int, int](3, 4, func(int) uint64 { return 0 })
	for i := range 3 {
		c.add(i, i, 1)
	}
	for range provenUses {
		c.get(0)
		c.get(2)
	}
	c.peek(1) // not a use
	c.add(3, 3, 1)
	for key, want := range map[int]bool{0: true, 1: false, 2: true, 3: true} {
		if _, ok := c.peek(key); ok != want {
			t.Errorf("%d: %v", key, ok)
		}
	}
}

func TestWhatIsAskedForAgainSoonStays(t *testing.T) {
	c := newCache[int, int](100, 1000, func(int) uint64 { return 0 })
	for i := range 100 {
		c.add(i, i, 1)
	}
	c.add(100, 100, 1) // 0 leaves
	c.add(0, 0, 1)     // and comes back
	for i := range 1000 {
		c.add(1000+i, i, 1)
	}
	if _, ok := c.peek(0); !ok {
		t.Error("it had to prove itself twice")
	}
	if _, ok := c.peek(100); ok {
		t.Error("what was asked for once stays")
	}
}

func TestTheNewestManifestStaysWhateverItsSize(t *testing.T) {
	c := newCache[int, int](10, 11, func(int) uint64 { return 0 })
	c.keepLast = true
	c.add(1, 1, 50)
	if _, ok := c.get(1); !ok {
		t.Error("it is gone")
	}
	c.add(2, 2, 50)
	if s := c.stats(); s.entries != 1 {
		t.Errorf("%d are held", s.entries)
	}
	if _, ok := c.peek(2); !ok {
		t.Error("the older one stayed")
	}
}

func TestAHitDoesNotAllocate(t *testing.T) {
	c := newCache[int, int](100, 1000, func(int) uint64 { return 0 })
	c.add(1, 1, 1)
	if n := testing.AllocsPerRun(100, func() { c.get(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWhatIsTooLargeLeavesTheRestAlone: a value for which there can't be room
// pushes out nothing.
func TestWhatIsTooLargeLeavesTheRestAlone(t *testing.T) {
	for _, tt := range []struct {
		name       string
		cost       int64
		kept, rest bool
	}{
		{"below the limit", 899, true, true},
		{"at the limit", 1000, true, false},
		{"above the limit", 1001, false, true},
	} {
		c := newCache[string, int](1000, 1000, hashString)
		for i := range 5 { // used, so that they have proved themselves
			for range provenUses + 1 {
				c.add(fmt.Sprint(i), i, 20)
				c.get(fmt.Sprint(i))
			}
		}
		c.add("large", 0, tt.cost)
		if _, ok := c.peek("large"); ok != tt.kept {
			t.Errorf("%s: kept: %v", tt.name, ok)
		}
		if _, ok := c.peek("0"); ok != tt.rest {
			t.Errorf("%s: the rest is there: %v", tt.name, ok)
		}
	}
	// One that grows beyond leaves, too.
	c := newCache[string, int](1000, 1000, hashString)
	c.add("a", 1, 10)
	c.add("b", 1, 10)
	c.add("b", 2, 1001)
	if s := c.stats(); s.entries != 1 || s.cost != 10 {
		t.Errorf("after one grew: %+v", s)
	}
}
