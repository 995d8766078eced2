package edge

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestCacheIsBounded(t *testing.T) {
	c := newCache[string, int](1000, 1, hashString)
	for i := range 5000 {
		c.add(fmt.Sprint(i), i, int64(1+i%20))
	}
	if n, cost := c.size(); cost > 1000 || n == 0 {
		t.Errorf("%d values cost %d", n, cost)
	}
	c.resize(100)
	if _, cost := c.size(); cost > 100 {
		t.Errorf("after the resize: %d", cost)
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
	if n, cost := c.size(); n != len(costs) || cost != want {
		t.Errorf("%d values cost %d, want %d and %d", n, cost, len(costs), want)
	}
}

func TestCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	c := newCache[int, int](3, 4, func(int) uint64 { return 0 })
	for i := range 3 {
		c.add(i, i, 1)
	}
	c.get(0)
	c.peek(1) // not a use
	c.add(3, 3, 1)
	for key, want := range map[int]bool{0: true, 1: false, 2: true, 3: true} {
		if _, ok := c.peek(key); ok != want {
			t.Errorf("%d: %v", key, ok)
		}
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
	if n, _ := c.size(); n != 1 {
		t.Errorf("%d are held", n)
	}
}
