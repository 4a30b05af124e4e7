package generator

import (
	"bufio"
	"bytes"
	"cmp"
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

// Dial opens a connection to host:port.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, reader: bufio.NewReader(c)}, nil
}

// A Check returns an error unless a response is right. The body is valid until the check returns.
type Check func(status int, body []byte) error

// Do sends one request, waits for its response, which must have a Content-Length, and checks it.
func (c *Conn) Do(request []byte, check Check) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, length, err := c.readHead()
	if err != nil {
		return fmt.Errorf("read a response: %w", err)
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return fmt.Errorf("read the body of a response: %w", err)
	}
	return check(status, c.body)
}

var errNoLength = errors.New("no Content-Length")

// readHead reads up to the empty line before the body. net/http writes the names of headers in
// canonical form.
func (c *Conn) readHead() (status, length int, err error) {
	for length = -1; ; {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		if code, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 ")); ok && len(code) > 3 {
			status, _ = strconv.Atoi(string(code[:3])) // the check refuses 0
		} else if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		switch end := len(line) <= len("\r\n"); {
		case err != nil, end && length < 0:
			return 0, 0, cmp.Or(err, errNoLength)
		case end:
			return status, length, nil
		}
	}
}

// Get makes the request that reads a path.
func Get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

// Cancel makes the request that cancels an order.
func Cancel(id []byte) []byte {
	return fmt.Appendf(nil, "POST /api/orders/%s/cancel/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", id)
}

// orderID returns the id in the response to a create, which CheckCreated has checked.
func orderID(body []byte) []byte {
	_, rest, _ := bytes.Cut(body, []byte(`"order_id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return id
}

// CheckOK is the Check of a read and of a cancel.
func CheckOK(status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("the response is %d %q", status, body)
	}
	return nil
}

// CheckCreated is the Check of a create: there must be an order.
func CheckCreated(status int, body []byte) error {
	if status != http.StatusCreated || !bytes.Contains(body, []byte(`"order_id":`)) {
		return fmt.Errorf("the response to a create is %d %q", status, body)
	}
	return nil
}
