// Package incr recomputes only what a change can have changed.
//
// A program is written as ordinary functions of a key,
//
//	func(c *incr.Context, key K) V
//
// wrapped once, at package level, in a [Query]. Functions read inputs (a
// [Cell], usually behind a store) and call each other with [Query.Get]. The
// engine records every read a function makes, those that found nothing
// included, and remembers the result. There are no dependency lists to keep by
// hand and no second code path: a full computation is the same code with an
// empty memory.
//
// # How a change travels
//
// A changed input marks the functions that read it dirty, and whatever read
// those functions "to be checked", up to the watched results ([Track]). Nothing
// is computed by marking. When a watched result is next asked for, each node on
// the way is settled:
//
//	clean    the remembered value holds
//	check    settle the marked dependencies; when none of them got a new value,
//	         the remembered value still holds (early cut-off)
//	dirty    run the function again; a result equal to the remembered one is no
//	         change for anyone above
//
// Only marked dependencies are visited, so the cost of a change is that of the
// functions it reaches, and a function with ten thousand clean dependencies
// and one marked one settles in one step if that one turns out to be the same.
//
// # Rules for functions
//
// A function must be pure: its result depends on its key and on what it reads
// through its Context. It must not keep its Context, must not modify a value it
// got from another query, and queries must not call each other in a circle
// (the engine panics and names the circle). Values are compared by the query's
// equality; the default is reflect.DeepEqual, which is right but slow, so give
// one with [Equal] where values are big.
//
// A DB belongs to one goroutine. Results are plain values and may be shared.
package incr
