package generator

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

// A Conn is one keep-alive connection. It sends requests that are ready made and reads no more of a
// response than it must: the client shares the processors with the server, and takes as little of them
// as it can.
type Conn struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

// A Response is valid until the next request on its connection.
type Response struct {
	Status int
	Body   []byte
}

// Dial opens a connection to host:port.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, reader: bufio.NewReader(c)}, nil
}

// Do sends one request and waits for its response, which must have a Content-Length.
func (c *Conn) Do(request []byte) (Response, error) {
	if _, err := c.Write(request); err != nil {
		return Response{}, err
	}
	status, length, err := c.readHead()
	if err != nil {
		return Response{}, fmt.Errorf("read a response: %w", err)
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return Response{}, fmt.Errorf("read the body of a response: %w", err)
	}
	return Response{status, c.body}, nil
}

var (
	errNotHTTP  = errors.New("not an HTTP/1.1 response")
	errNoLength = errors.New("no Content-Length")
)

// readHead reads up to the empty line before the body. net/http writes the names
// of headers in canonical form.
func (c *Conn) readHead() (status, length int, err error) {
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

// Get makes the request that reads a path.
func Get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

// CheckOK returns an error unless the response to a read has the status 200.
func CheckOK(r Response) error {
	if r.Status != http.StatusOK {
		return fmt.Errorf("the response to a read is %d %q", r.Status, r.Body)
	}
	return nil
}

// CheckCreated returns an error unless the response to a create has the status 201 and an order.
func CheckCreated(r Response) error {
	if r.Status != http.StatusCreated || !bytes.Contains(r.Body, []byte(`"order_id":`)) {
		return fmt.Errorf("the response to a create is %d %q", r.Status, r.Body)
	}
	return nil
}
