package manifest

import (
	"fmt"
	"strings"
)

// DidYouMean is the hint for a name that is not among the known ones: the one
// that looks most like it, or all if they are few. It may be empty.
func DidYouMean(name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	const enough = 8
	if len(known) == 0 || len(known) > enough {
		return ""
	}
	return "known here: " + strings.Join(known, ", ")
}

// nearest returns the known name that is the fewest edits away, if it is close
// enough to be what was meant.
func nearest(name string, known []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		if abs(len(k)-len(name)) >= least && !strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)) {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if len(name) >= 3 && d > 0 && (k == name+"s" || k+"s" == name) {
			d = 1
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

func abs(i int) int { return max(i, -i) }

// distance is the number of inserted, removed, changed or swapped bytes
// between a and b.
func distance(a, b string) int {
	const limit = 100
	if len(a) > limit || len(b) > limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
