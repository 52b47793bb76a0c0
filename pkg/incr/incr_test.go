package incr_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/egctl/egctl/pkg/incr"
)

// board is a small world: numbered inputs, some absent.
type board struct {
	db    *incr.DB
	cells map[int]*incr.Cell
	value map[int]int
}

type input struct {
	*board
	i int
}

func (in input) CellName() string { return fmt.Sprint("input ", in.i) }
func (in input) CellUnread()      { delete(in.cells, in.i) }

func newBoard() *board {
	return &board{db: incr.New(), cells: map[int]*incr.Cell{}, value: map[int]int{}}
}

func (b *board) read(c *incr.Context, i int) int {
	cell := b.cells[i]
	if cell == nil {
		cell = &incr.Cell{Owner: input{b, i}}
		b.cells[i] = cell
	}
	cell.Read(c)
	return b.value[i]
}

func (b *board) set(i, v int) {
	b.value[i] = v
	if cell := b.cells[i]; cell != nil {
		b.db.Touch(cell)
	}
}

func TestEarlyCutOff(t *testing.T) {
	b := newBoard()
	parity := incr.NewQuery("parity", func(c *incr.Context, i int) int { return b.read(c, i) % 2 })
	sum := incr.NewQuery("sum", func(c *incr.Context, n int) int {
		total := 0
		for i := range n {
			total += parity.Get(c, i)
		}
		return total
	})
	b.set(0, 1)
	if got := sum.Get(b.db.Root(), 3); got != 1 {
		t.Fatalf("sum = %d, want 1", got)
	}
	b.set(0, 3) // still odd
	if got := sum.Get(b.db.Root(), 3); got != 1 {
		t.Fatalf("sum = %d, want 1", got)
	}
	runs := b.db.Stats().Runs
	if runs["sum"] != 1 || runs["parity"] != 4 {
		t.Errorf("sum ran %d times, parity %d times; want 1 and 4: an equal parity must not run sum again", runs["sum"], runs["parity"])
	}
	b.set(2, 1) // was read as absent
	if got := sum.Get(b.db.Root(), 3); got != 2 {
		t.Errorf("sum = %d after an absent input appeared, want 2", got)
	}
}

func TestReadsFollowTheData(t *testing.T) {
	b := newBoard()
	// follow reads input 0 and then the input it names.
	follow := incr.NewQuery("follow", func(c *incr.Context, _ struct{}) int { return b.read(c, b.read(c, 0)) })
	b.set(0, 1)
	b.set(1, 10)
	b.set(2, 20)
	get := func() int { return follow.Get(b.db.Root(), struct{}{}) }
	if get() != 10 {
		t.Fatal("want 10")
	}
	b.set(0, 2)
	if get() != 20 {
		t.Fatal("want 20 after the pointer moved")
	}
	before := b.db.Stats().Runs["follow"]
	b.set(1, 11) // no longer read
	get()
	if after := b.db.Stats().Runs["follow"]; after != before {
		t.Error("a change of an input that is no longer read ran the function")
	}
}

func TestRecoverKeepsNeighbours(t *testing.T) {
	b := newBoard()
	inner := incr.NewQuery("inner", func(c *incr.Context, i int) int {
		if v := b.read(c, i); v >= 0 {
			return v
		}
		panic("negative")
	})
	guarded := incr.NewQuery("guarded", func(c *incr.Context, i int) int { return inner.Get(c, i) },
		incr.Recover(func(int, any) int { return -1 }))
	both := incr.NewQuery("both", func(c *incr.Context, _ struct{}) [2]int {
		return [2]int{guarded.Get(c, 0), guarded.Get(c, 1)}
	})
	get := func() [2]int { return both.Get(b.db.Root(), struct{}{}) }
	b.set(0, -5)
	b.set(1, 7)
	if got := get(); got != [2]int{-1, 7} {
		t.Fatalf("got %v", got)
	}
	b.set(0, 3) // the panic's cause goes away
	if got := get(); got != [2]int{3, 7} {
		t.Fatalf("got %v after the input was mended, want [3 7]", got)
	}
}

func TestCircleIsNamed(t *testing.T) {
	b := newBoard()
	var a *incr.Query[int, int]
	a = incr.NewQuery("a", func(c *incr.Context, i int) int { return a.Get(c, 1-i) })
	defer func() {
		want := "incr: functions call each other in a circle: a(0) -> a(1) -> a(0)"
		if got := recover(); got != want {
			t.Errorf("got %v, want %q", got, want)
		}
	}()
	a.Get(b.db.Root(), 0)
}

// TestIncrementalEqualsFull compares a long-lived DB against a fresh one after
// each of many random edits of a graph whose shape depends on its inputs.
func TestIncrementalEqualsFull(t *testing.T) {
	const inputs = 30
	var current *board
	level1 := incr.NewQuery("level1", func(c *incr.Context, i int) int {
		v := current.read(c, i)
		if v%3 == 0 {
			return current.read(c, (i+v)%inputs) / 2
		}
		return v / 2
	})
	level2 := incr.NewQuery("level2", func(c *incr.Context, i int) int {
		n := level1.Get(c, i)
		if n%4 == 1 {
			panic("unlucky")
		}
		for k := range n % 5 {
			n += level1.Get(c, (i*7+k)%inputs)
		}
		return n % 6
	})
	level3 := incr.NewQuery("level3", func(c *incr.Context, i int) int {
		return 10*level2.Get(c, i) + level2.Get(c, (i+1)%inputs)
	}, incr.Recover(func(i int, r any) int { return -1 }))
	keys := incr.NewQuery("keys", func(c *incr.Context, _ struct{}) []int {
		var ks []int
		for i := range inputs {
			if current.read(c, i)%7 != 0 {
				ks = append(ks, i)
			}
		}
		return ks
	})

	rng := rand.New(rand.NewPCG(1, 2))
	live := newBoard()
	tracker := incr.Track(live.db, keys, level3)
	got := map[int]int{}
	for step := range 20000 {
		for range 1 + rng.IntN(3) {
			live.set(rng.IntN(inputs), rng.IntN(40))
		}
		current = live
		for _, ch := range tracker.Update() {
			if ch.Gone {
				delete(got, ch.Key)
			} else {
				got[ch.Key] = ch.Value
			}
		}
		if step%10 != 0 {
			continue
		}
		fresh := newBoard()
		fresh.value = live.value
		current = fresh
		want := keys.Get(fresh.db.Root(), struct{}{})
		if len(want) != len(got) {
			t.Fatalf("step %d: %d keys, want %d", step, len(got), len(want))
		}
		for _, k := range want {
			if w := level3.Get(fresh.db.Root(), k); got[k] != w {
				t.Fatalf("step %d: level3(%d) = %d, a fresh computation says %d", step, k, got[k], w)
			}
		}
	}
	if n := live.db.Stats().Nodes; n > 5*inputs {
		t.Errorf("%d nodes remembered for %d inputs: results nobody reads are not forgotten", n, inputs)
	}
}

// BenchmarkFanIn is a function over n inputs of which one changes without
// consequence (cut-off) or with one (rerun).
func BenchmarkFanIn(bm *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for _, consequence := range []bool{false, true} {
			bm.Run(fmt.Sprintf("n=%d/rerun=%v", n, consequence), func(bm *testing.B) {
				b := newBoard()
				half := incr.NewQuery("half", func(c *incr.Context, i int) int { return b.read(c, i) / 2 })
				all := incr.NewQuery("all", func(c *incr.Context, n int) []int {
					out := make([]int, n)
					for i := range n {
						out[i] = half.Get(c, i)
					}
					return out
				}, incr.Equal[int](slices.Equal[[]int]))
				all.Get(b.db.Root(), n)
				bm.ReportAllocs()
				bm.ResetTimer()
				for i := range bm.N {
					v := i % 2
					if consequence {
						v = 2 * i
					}
					b.set(i%n, v)
					all.Get(b.db.Root(), n)
				}
			})
		}
	}
}
