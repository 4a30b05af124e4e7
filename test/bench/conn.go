package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// A conn is one keep-alive connection. It sends requests that are ready made and
// reads no more of an answer than it must: the client shares the processors with
// the server, so what it spares is not taken from what is measured.
type conn struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

// An answer is valid until the next request on its connection.
type answer struct {
	status int
	body   []byte
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, reader: bufio.NewReader(c)}, nil
}

// do sends one request and waits for its answer, which must announce its length.
func (c *conn) do(request []byte) (answer, error) {
	if _, err := c.Write(request); err != nil {
		return answer{}, err
	}
	status, length, err := c.readHead()
	if err != nil {
		return answer{}, fmt.Errorf("read an answer: %w", err)
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return answer{}, fmt.Errorf("read the body of an answer: %w", err)
	}
	return answer{status: status, body: c.body}, nil
}

var (
	errNotHTTP  = errors.New("not an HTTP/1.1 answer")
	errNoLength = errors.New("no Content-Length")
)

// readHead reads up to the empty line before the body. net/http writes the names
// of headers in canonical form.
func (c *conn) readHead() (status, length int, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	code, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(code) < 3 {
		return 0, 0, errNotHTTP
	}
	if status, err = strconv.Atoi(string(code[:3])); err != nil {
		return 0, 0, errNotHTTP
	}
	for length = -1; ; {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, err
			}
		}
	}
	if length < 0 {
		return 0, 0, errNoLength
	}
	return status, length, nil
}

// get makes the request that reads a path.
func get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

// checkOK returns an error unless a read was answered as it should be.
func checkOK(a answer) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("a read was answered with %d %q", a.status, a.body)
	}
	return nil
}

// checkCreated returns an error unless a create was answered as it should be.
func checkCreated(a answer) error {
	if a.status != http.StatusCreated || !bytes.Contains(a.body, []byte(`"order_id":`)) {
		return fmt.Errorf("a create was answered with %d %q", a.status, a.body)
	}
	return nil
}
