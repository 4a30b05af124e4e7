package main

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
)

// hostNames are the accepted names in the Host header of a service on a loopback address. They prevent
// DNS rebinding: any web page can make its own name lead to 127.0.0.1, and the browser then lets the
// page read and create orders. The Host header of these requests still has the name of the page.
type hostNames struct {
	trusted map[string]bool // in lower case, in addition to those of the loopback
	last    atomic.Pointer[string]
}

// newHostNames returns the accepted names of a service on an address. It returns nil, which accepts all
// names, for an address that others reach, unless there are trusted names: the service cannot know the
// names of such an address.
func newHostNames(addr net.Addr, trusted string) *hostNames {
	if !isLoopback(addr) && trusted == "" {
		return nil
	}
	names := &hostNames{trusted: map[string]bool{}}
	for name := range strings.SplitSeq(trusted, ",") {
		names.trusted[hostName(name)] = true
	}
	delete(names.trusted, "") // browsers always send a name
	return names
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func (n *hostNames) contain(host string) bool {
	if last := n.last.Load(); last != nil && *last == host {
		return true // most requests have the same Host header
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

func hostName(name string) string {
	if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.ToLower(strings.TrimSuffix(inner, "]")) // an IPv6 address
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

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
