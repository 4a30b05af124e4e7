package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"orders/test/conformance"
)

var (
	onLoopback = &net.TCPAddr{IP: net.IPv6loopback, Port: 8000}
	onAll      = &net.TCPAddr{IP: net.IPv4zero, Port: 8000}
)

func TestOnlyNamesOfTheLoopbackAndTrustedOnesAreAnswered(t *testing.T) {
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
		t.Error("names are checked on an address that others reach, though none were named")
	}
	if names := newHostNames(onAll, "shop.example"); names.contain("evil.example") || !names.contain("shop.example") || !names.contain("localhost") {
		t.Error("the names that were named are not checked on an address that others reach")
	}
}

// A web page whose name leads to 127.0.0.1 has the browser ask under the page's own name.
func TestAReboundNameReadsAndCreatesNothing(t *testing.T) {
	s := startService(t, "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "orders.db"), "--trusted-host", "shop.example")
	port := s.url[strings.LastIndexByte(s.url, ':'):]
	ask := func(method, path, host string) (status int, body string) {
		req, err := http.NewRequest(method, s.url+path, strings.NewReader(goodOrder))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/json")
		res, err := s.client.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		content, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(content)
	}
	for _, r := range []struct {
		method, path string
		status       int // for a name that is the service's
	}{
		{"POST", "/api/orders/create/", 201}, {"GET", "/api/orders/ids/", 200}, {"GET", "/api/metrics/", 200},
		{"GET", "/openapi.yaml", 200}, {"GET", "/docs/", 200}, {"GET", "/nowhere", 404}, {"DELETE", "/api/metrics/", 405},
	} {
		for _, host := range []string{"evil.example" + port, "evil.example"} {
			if status, body := ask(r.method, r.path, host); status != 421 || !strings.Contains(body, `"code":"misdirected_request"`) {
				t.Errorf("Host %s: %s %s is answered %d %.200s, want 421", host, r.method, r.path, status, body)
			}
		}
		for _, host := range []string{"localhost" + port, "shop.example"} {
			if status, _ := ask(r.method, r.path, host); status != r.status {
				t.Errorf("Host %s: %s %s is answered %d, want %d", host, r.method, r.path, status, r.status)
			}
		}
	}
	for _, probe := range []string{"/livez", "/readyz", "/healthz"} {
		if status, _ := ask("GET", probe, "10.0.0.7"+port); status != http.StatusOK {
			t.Errorf("%s is answered %d to a prober with a name of its own", probe, status)
		}
	}
	if _, body := ask("GET", "/api/metrics/", "localhost"); !strings.Contains(body, `"total_orders":2,`) {
		t.Errorf("metrics are %s, want the two orders that were answered with 201", body)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// HTTP/1.0 has requests without a Host.
func TestARequestWithoutAHostIsMisdirected(t *testing.T) {
	s := startService(t, "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "orders.db"))
	for path, want := range map[string]int{"/api/metrics/": 421, "/healthz": 200} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != want {
			t.Errorf("%s without a Host is answered %s, want %d", path, res.Status, want)
		}
		if err := errors.Join(res.Body.Close(), conn.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatOthersReachIsWarnedAbout(t *testing.T) {
	for addr, want := range map[string]int{"127.0.0.1:0": 0, "0.0.0.0:0": 1} {
		logs := &conformance.LogBuffer{}
		ctx, stop := context.WithCancel(t.Context())
		stdout, printed := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			args := []string{"serve", "--addr", addr, "--db", filepath.Join(t.TempDir(), "orders.db"), "--log-format", "text"}
			ended <- run(ctx, args, func(string) string { return "" }, printed, logs)
		}()
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			t.Errorf("%s: %q, %v", addr, line, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := strings.Count(string(logs.Bytes()), `level=`+slog.LevelWarn.String()+` msg="there is no authentication`); got != want {
			t.Errorf("%s: %d warnings, want %d:\n%s", addr, got, want, logs.Bytes())
		}
	}
}
