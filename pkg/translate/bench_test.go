package translate_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/testworld"
)

// BenchmarkEvent measures what one event costs the translator, from the change
// of the store to the encoded resources and statuses that follow from it. The
// figure cpu-µs/op is processor time of the whole process, garbage collection
// included. `make bench` publishes it in docs/performance.md.
func BenchmarkEvent(b *testing.B) {
	for _, size := range [][2]int{{1, 100}, {1, 1000}, {1, 5000}, {1, 10000}, {100, 1000}, {100, 5000}, {100, 10000}} {
		f := testworld.Fleet{Gateways: size[0], Routes: size[1]}
		events := []struct {
			name string
			next func(i int) store.Object
		}{
			{"route-edit", func(i int) store.Object { return f.Route(i*7%f.Routes, i+1) }},
			{"endpoint-flap", func(i int) store.Object { return f.Slice(i*7%f.Routes, i/f.Routes+1) }},
			{"certificate", func(i int) store.Object { return f.Certificate(i + 1) }},
			{"gateway-edit", func(i int) store.Object { return f.Gateway(i%f.Gateways, i+1) }},
		}
		for _, e := range events {
			b.Run(fmt.Sprintf("gateways=%d/routes=%d/%s", f.Gateways, f.Routes, e.name), func(b *testing.B) {
				tr := translate.New(settings())
				tr.Store.Apply(testworld.Changes(f.Objects()...)...)
				tr.Update()
				runtime.GC()
				b.ReportAllocs()
				b.ResetTimer()
				before := cpu()
				for i := range b.N {
					tr.Store.Apply(store.Put(e.next(i)))
					tr.Update()
				}
				b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

// BenchmarkFull measures the first translation of a fleet, and what it keeps.
func BenchmarkFull(b *testing.B) {
	for _, routes := range []int{100, 1000, 5000, 10000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			f := testworld.Fleet{Gateways: 1, Routes: routes}
			changes := testworld.Changes(f.Objects()...)
			b.ReportAllocs()
			var keep *translate.Translator
			for range b.N {
				keep = translate.New(settings())
				keep.Store.Apply(changes...)
				keep.Update()
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
			runtime.KeepAlive(keep)
		})
	}
}

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
