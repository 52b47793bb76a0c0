package xds

import (
	"slices"
	"strings"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// refuse works out what a refused response means for each resource in it, and
// returns the resources that are certainly to blame. done says that there is
// nothing left to find out.
func (s *subscription) refuse(r *response, message string) (guilty []*encoded.Resource, done bool) {
	named := namedIn(message, r.resources)
	switch {
	case len(r.resources) == 0:
		// Nothing to narrow down, and nothing that a repetition would change.
		for _, name := range r.removed {
			s.drop(name)
		}
		return nil, true
	case s.partlyApplied(message) && len(named) > 0:
		for _, res := range r.resources {
			if !slices.Contains(named, res) {
				s.accept(res)
			}
		}
		for _, name := range r.removed {
			s.drop(name)
		}
		guilty = named
	case len(r.resources) == 1:
		guilty = r.resources
		s.removeAgain(r.removed)
	default:
		s.removeAgain(r.removed)
		s.probe(r.resources, named)
		return nil, false
	}
	for _, res := range guilty {
		if s.wants(res.Name) {
			s.refused[res.Name] = res
			s.maybe[res.Name] = slices.DeleteFunc(s.maybe[res.Name], func(m *encoded.Resource) bool { return encoded.Equal(m, res) })
			if len(s.maybe[res.Name]) == 0 {
				delete(s.maybe, res.Name)
			}
		}
	}
	return guilty, true
}

// partlyApplied recognises the message with which Envoy says that it has
// applied all but the resources it names (its CdsApiImpl and LdsApiImpl). A
// message that was cut may fail to name some.
func (s *subscription) partlyApplied(message string) bool {
	prefix := map[kind]string{clusters: "Error adding/updating cluster(s) ", listeners: "Error adding/updating listener(s) "}[s.kind]
	return prefix != "" && strings.HasPrefix(message, prefix) && !strings.HasSuffix(message, "...(truncated)")
}

func (s *subscription) removeAgain(removed []string) {
	for _, name := range removed {
		if s.wants(name) {
			s.withdrawn[name] = struct{}{}
		}
	}
}

// probe schedules the resources of a refused response to be sent again in
// smaller ones: those named by the message each alone, the others in halves.
func (s *subscription) probe(resources, named []*encoded.Resource) {
	var groups [][]string
	var rest []string
	for _, res := range resources {
		if s.wants(res.Name) {
			s.maybe[res.Name] = append(s.maybe[res.Name], res)
		}
		if slices.Contains(named, res) {
			groups = append(groups, []string{res.Name})
		} else {
			rest = append(rest, res.Name)
		}
	}
	if len(named) == 0 {
		groups = append(groups, rest[:len(rest)/2], rest[len(rest)/2:])
	} else if len(rest) > 0 {
		groups = append(groups, rest)
	}
	s.probes = append(groups, s.probes...)
}

// namedIn returns the resources whose name occurs in message as a whole word,
// and not only inside the longer name of another.
func namedIn(message string, resources []*encoded.Resource) []*encoded.Resource {
	byLength := slices.Clone(resources)
	slices.SortStableFunc(byLength, func(a, b *encoded.Resource) int { return len(b.Name) - len(a.Name) })
	taken := make([]bool, len(message))
	var named []*encoded.Resource
	for _, res := range byLength {
		if res.Name == "" {
			continue
		}
		found := false
		for from := 0; ; {
			i := strings.Index(message[from:], res.Name)
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(res.Name)
			from = start + 1
			if !taken[start] && bounded(message, start, end) {
				found = true
				for j := start; j < end; j++ {
					taken[j] = true
				}
			}
		}
		if found {
			named = append(named, res)
		}
	}
	return named
}

func bounded(s string, start, end int) bool {
	return (start == 0 || !inName(s[start-1])) && (end == len(s) || !inName(s[end]))
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/'
}
