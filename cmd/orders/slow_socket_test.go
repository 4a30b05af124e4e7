package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// manyAnswers are 400 KB each, 16 of which are more than the buffers of both
	// sockets hold.
	manyAnswers = 16
	largeAnswer = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
	// cutOffBy is when a slow client has kept its connection in spite of every limit
	// that it could meet.
	cutOffBy = writeTimeout + 20*time.Second
)

// F26, I16: the sockets are real, and so are the process and the time that this takes.
func TestProcessServesOthersUntilEverySlowClientIsCutOff(t *testing.T) {
	t.Parallel() // it waits for the limits, and hardly works meanwhile
	db := filepath.Join(t.TempDir(), "orders.db")
	cmd, url := startProcess(t, db)
	const (
		silent, dripping = 490, 490
		unreading        = 20 // each fills some megabytes of the kernel's memory
		clients          = silent + dripping + unreading
	)
	ended := make(chan error, clients)
	for _, kind := range []struct {
		clients int
		isSlow  func(net.Conn) error // returns nil when it has lost its connection
	}{
		{silent, sendNothing},
		{dripping, func(conn net.Conn) error {
			return sendSlowly(conn, "GET /api/metrics/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: "+strings.Repeat("z", 100))
		}},
		{unreading, func(conn net.Conn) error {
			if _, err := io.WriteString(conn, strings.Repeat(largeAnswer, manyAnswers)); err != nil {
				return err
			}
			return sendSlowly(conn, largeAnswer)
		}},
	} {
		for range kind.clients {
			conn := dialSlow(t, url)
			go func() { ended <- kind.isSlow(conn) }()
		}
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: cutOffBy}
	defer client.CloseIdleConnections()
	others := time.NewTicker(100 * time.Millisecond)
	defer others.Stop()
	for left := clients; left > 0; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("a slow client: %v", err)
			}
			left--
		case <-others.C:
			if _, err := post(client, url); err != nil {
				t.Fatalf("another client: %v", err)
			}
		}
	}
	terminate(t, cmd)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
}

func dialSlow(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(cutOffBy))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func sendNothing(conn net.Conn) error {
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("it has %d bytes, and %w", n, err)
	}
	return nil
}

// sendSlowly sends a byte a second, and reads nothing.
func sendSlowly(conn net.Conn, text string) error {
	for began, n := time.Now(), 0; time.Since(began) < cutOffBy; n++ {
		if _, err := conn.Write([]byte{text[n%len(text)]}); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		time.Sleep(time.Second)
	}
	return errors.New("it is still connected")
}
