package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/test/conformance"
)

// F23, I5.
func TestSecondServiceOnAFileIsRefused(t *testing.T) {
	db := newPath(t)
	s := startHere(t, db)
	checkRefused(t, serveProgram(t, db), "orders: "+db+": ", "is in use by another process\n")
	s.mustCreate(t)
	s.stop(t)
}

func TestPortInUseLeavesNoFileAndAnOldOneFree(t *testing.T) {
	defer goleak.VerifyNone(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	addr := listener.Addr().String()
	old, fresh := goodFile(t), newPath(t)
	for _, db := range []string{old, fresh} {
		code, stdout, stderr := invoke(t, nil, "serve", "--addr", addr, "--db", db)
		want := fmt.Sprintf("orders: listen tcp4 %s: bind: address already in use\n", addr)
		if code != exitFailed || stdout != "" || stderr != want {
			t.Errorf("exit code %d, %q, %q; want 1 and %q", code, stdout, stderr, want)
		}
	}
	ordersIn(t, old)
	if left, err := os.ReadDir(filepath.Dir(fresh)); err != nil || len(left) > 0 {
		t.Errorf("a service that could not listen has left %v, %v", left, err)
	}
}

// F10, F22, I4.
func TestServiceGoesOnWithOrdersOfTheOneBefore(t *testing.T) {
	db := newPath(t)
	s := startHere(t, db, "--processing-time", "100ms")
	s.mustCreate(t)
	s.stop(t)
	s = startHere(t, db, "--processing-time", "100ms")
	s.awaitCompleted(t, 1)
	s.stop(t)
}

// A load balancer sends probes from the first moment, and opening a file with millions of orders
// takes a while.
func TestServiceAnswersWhileItOpensItsFile(t *testing.T) {
	db := goodFile(t)
	for deadline := time.Now().Add(15 * time.Second); !startOnLockedFile(t, db); {
		if time.Now().After(deadline) {
			t.Fatal("the service never answered while it opened its file")
		}
	}
}

// startOnLockedFile starts a service on a locked file, and unlocks the file once the service has
// answered. It returns false if the service gives up before.
func startOnLockedFile(t *testing.T, db string) (answered bool) {
	t.Helper()
	lock := connect(t, db)
	unlock := sync.OnceValue(lock.Close)
	defer func() { _ = unlock() }()
	if err := sqlitex.ExecScript(lock, lockScript); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	s := launchHere(t, t.Output(), "serve", "--addr", addr, "--db", db)
	s.url = "http://" + addr
	for {
		if _, err := s.get("/livez"); err == nil {
			break
		}
		select {
		case err := <-s.ended:
			t.Log("it gave up:", err)
			return false
		case <-time.After(time.Millisecond):
		}
	}
	for _, r := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/livez", 200}, {"GET", "/readyz", 503}, {"GET", "/healthz", 503},
		{"POST", "/api/orders/", 503}, {"GET", "/api/metrics/", 503}, {"GET", "/docs/", 503},
	} {
		if res, err := s.send(r.method, r.path, ""); err == nil && res.status != r.status {
			t.Errorf("while it opens its file: %s %s: %d, want %d", r.method, r.path, res.status, r.status)
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.stdout.ReadString('\n'); err != nil {
		return false
	}
	if res, err := s.get("/readyz"); err != nil || res.status != http.StatusOK {
		t.Errorf("/readyz: %d, %v, once the file is open", res.status, err)
	}
	s.stop(t)
	return true
}

// freeAddr returns an address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestOnlyNamesOfTheLoopbackAndTrustedOnesAreAnswered(t *testing.T) {
	onLoopback := &net.TCPAddr{IP: net.IPv6loopback, Port: 8000}
	onAll := &net.TCPAddr{IP: net.IPv4zero, Port: 8000}
	names := newHostNames(onLoopback, "shop.example,Www.Shop.Example.,10.0.0.5,[fd00::1]")
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8000": true, "LocalHost": true, "localhost.": true, "localhost.:8000": true, "localhost:": true,
		"127.0.0.1": true, "127.0.0.1:8000": true, "127.255.0.3:1": true, "[::1]": true, "[::1]:8000": true,
		"shop.example": true, "SHOP.example.:443": true, "www.shop.example": true, "10.0.0.5:8000": true, "[fd00::1]:8000": true,

		"": false, ":8000": false, ".": false, "evil.example": false, "evil.example:8000": false, "localhost.evil.example": false,
		"evil-localhost": false, "a.localhost": false, "127.0.0.1.evil.example": false, "127.1": false, "2130706433": false, "0x7f.0.0.1": false,
		"0.0.0.0": false, "0.0.0.0:8000": false, "128.0.0.1": false, "10.0.0.6": false, "[::]": false, "::1": false, "[::1": false,
		"localhost@evil.example": false, "localhost:80:80": false, "localhost/": false, "localhost\x00": false, "m.shop.example": false,
	} {
		if got := names.contain(host); got != want {
			t.Errorf("Host %q: answered %t, want %t", host, got, want)
		}
	}
	if newHostNames(onAll, "") != nil {
		t.Error("without trusted names, an address that others reach must answer to all names")
	}
	if names := newHostNames(onAll, "shop.example"); names.contain("evil.example") || !names.contain("shop.example") || !names.contain("localhost") {
		t.Error("with trusted names, an address that others reach must answer to them and the loopback only")
	}
}

// The name of a web page can lead to 127.0.0.1. The browser then sends requests with that name.
func TestAReboundNameReadsAndCreatesNothing(t *testing.T) {
	s := startHere(t, newPath(t), "--trusted-host", "shop.example")
	port := s.url[strings.LastIndexByte(s.url, ':'):]
	send := func(method, path, host string) response {
		t.Helper()
		res, err := s.send(method, path, goodOrder, "Content-Type", "application/json", "Host", host)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, r := range []struct {
		method, path string
		status       int // for a name of the service
	}{
		{"POST", "/api/orders/create/", 201}, {"GET", "/api/orders/ids/", 200}, {"GET", "/api/metrics/", 200},
		{"GET", "/openapi.yaml", 200}, {"GET", "/docs/", 200}, {"GET", "/nowhere", 404}, {"DELETE", "/api/metrics/", 405},
	} {
		for _, host := range []string{"evil.example" + port, "evil.example"} {
			if res := send(r.method, r.path, host); res.status != 421 || !strings.Contains(res.body, `"code":"misdirected_request"`) {
				t.Errorf("Host %s: %s %s: %d %.200s, want 421", host, r.method, r.path, res.status, res.body)
			}
		}
		for _, host := range []string{"localhost" + port, "shop.example"} {
			if res := send(r.method, r.path, host); res.status != r.status {
				t.Errorf("Host %s: %s %s: %d, want %d", host, r.method, r.path, res.status, r.status)
			}
		}
	}
	for _, probe := range []string{"/livez", "/readyz", "/healthz"} {
		if res := send("GET", probe, "10.0.0.7"+port); res.status != http.StatusOK {
			t.Errorf("%s: %d for a prober with another name", probe, res.status)
		}
	}
	if n := s.metrics(t).TotalOrders; n != 2 {
		t.Errorf("there are %d orders, want the two with a 201", n)
	}
	s.stop(t)
}

func TestAnAddressThatOthersReachIsWarnedAbout(t *testing.T) {
	for addr, want := range map[string]int{"127.0.0.1:0": 0, "0.0.0.0:0": 1} {
		logs := &conformance.LogBuffer{}
		s := launchHere(t, logs, "serve", "--addr", addr, "--db", newPath(t), "--log-format", "text")
		if line, err := s.stdout.ReadString('\n'); err != nil {
			t.Errorf("%s: %q, %v", addr, line, err)
		}
		s.stop(t)
		if got := strings.Count(string(logs.Bytes()), `level=`+slog.LevelWarn.String()+` msg="there is no authentication`); got != want {
			t.Errorf("%s: %d warnings, want %d:\n%s", addr, got, want, logs.Bytes())
		}
	}
}
