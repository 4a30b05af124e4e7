package main

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
)

// hostNames are the names under which a service is asked that only this machine can reach. A web
// page of any site can have its own name lead to 127.0.0.1 (DNS rebinding), and the browser then
// lets it read and create orders. The Host header still has the page's name.
type hostNames struct {
	trusted map[string]bool // in lower case, besides those of the loopback
	last    atomic.Pointer[string]
}

// newHostNames returns the names that a service at that address answers to, nil for all names: it
// is asked by others anyway, and only who runs it knows by which name.
func newHostNames(addr net.Addr, trusted string) *hostNames {
	if !isLoopback(addr) && trusted == "" {
		return nil
	}
	names := &hostNames{trusted: map[string]bool{}}
	for name := range strings.SplitSeq(trusted, ",") {
		names.trusted[hostName(name)] = true
	}
	delete(names.trusted, "") // a request without a name is from no browser, and may be from anywhere
	return names
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// contain reports whether a request with that Host header is for this service.
func (n *hostNames) contain(host string) bool {
	if last := n.last.Load(); last != nil && *last == host {
		return true // most requests have the Host of the one before
	}
	found := n.find(host)
	if found {
		n.last.Store(&host)
	}
	return found
}

func (n *hostNames) find(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	name = hostName(name)
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback() || n.trusted[name]
}

// hostName is a name without a port in the one spelling in which names are compared.
func hostName(name string) string {
	if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.ToLower(strings.TrimSuffix(inner, "]")) // an IPv6 address
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// validHostNames reports whether all names of a list are such as can be in a Host header.
func validHostNames(list string) bool {
	if list == "" {
		return true
	}
	for name := range strings.SplitSeq(list, ",") {
		_, err := netip.ParseAddr(hostName(name))
		letters := strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
		if err != nil && (!letters || hostName(name) == "") {
			return false
		}
	}
	return true
}
