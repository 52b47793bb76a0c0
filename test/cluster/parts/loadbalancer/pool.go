package main

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// A pool gives away the addresses of a prefix, each to one Service at a time.
type pool struct {
	prefix netip.Prefix
	// last is the address given away last. Going on from it, instead of taking
	// the lowest that is free, keeps an address that a client may still hold from
	// answering for another Service.
	last netip.Addr
}

// A change is an address to write to a Service's status; the zero address stands
// for none.
type change struct {
	service *corev1.Service
	address netip.Addr
}

// plan returns what has to be written so that every Service of type LoadBalancer
// that no other load balancer claims has an address of the pool: the one it asks
// for in spec.loadBalancerIP and no other, or else any. Older Services choose
// first. A Service that asks for an address that is not the pool's, or that
// another has, is left without.
func (p *pool) plan(services []*corev1.Service) []change {
	services = slices.Clone(services)
	slices.SortFunc(services, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	taken := map[netip.Addr]bool{}
	var without []*corev1.Service
	var changes []change
	// Whoever has an address keeps it, before anyone is given a new one.
	for _, s := range services {
		if !ours(s) {
			continue
		}
		has := address(s)
		if p.usable(has) && !taken[has] && (s.Spec.LoadBalancerIP == "" || s.Spec.LoadBalancerIP == has.String()) {
			taken[has] = true
			continue
		}
		without = append(without, s)
	}
	for _, s := range without {
		var gets netip.Addr
		if wish := s.Spec.LoadBalancerIP; wish != "" {
			if a, err := netip.ParseAddr(wish); err == nil && p.usable(a) && !taken[a] {
				gets = a
			}
		} else {
			gets = p.next(taken)
		}
		if gets.IsValid() {
			taken[gets] = true
		}
		if gets != address(s) {
			changes = append(changes, change{s, gets})
		}
	}
	return changes
}

// next returns the next free address after the last one given away, or the zero
// address if none is free.
func (p *pool) next(taken map[netip.Addr]bool) netip.Addr {
	first := p.prefix.Masked().Addr().Next()
	a := p.last
	if !a.IsValid() {
		a = p.prefix.Masked().Addr()
	}
	for start := a; ; {
		if a = a.Next(); !p.usable(a) {
			a = first
		}
		if !taken[a] {
			p.last = a
			return a
		}
		if a == start {
			return netip.Addr{}
		}
	}
}

// usable reports whether a is an address of the pool, which does not give away
// the prefix's own address.
func (p *pool) usable(a netip.Addr) bool {
	return p.prefix.Contains(a) && a != p.prefix.Masked().Addr()
}

func ours(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.LoadBalancerClass == nil && s.DeletionTimestamp == nil
}

// address is the one in the Service's status.
func address(s *corev1.Service) netip.Addr {
	if len(s.Status.LoadBalancer.Ingress) != 1 {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s.Status.LoadBalancer.Ingress[0].IP)
	if err != nil {
		return netip.Addr{}
	}
	return a
}
