package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A curlCommand is what a command line of curl asks for. It is done with net/http,
// because the tests are to need nothing but Go.
type curlCommand struct {
	method, path, body string
	header             http.Header
	showsHead          bool // besides the body
	discardsBody       bool
}

// A printout is what curl would print, the head in any order.
type printout struct {
	head []string
	body string
}

// Words that a shell leaves as they are, or that are quoted and have nothing in
// them that the shell would still replace.
var (
	shellWord    = `(?:[\w@%+=:,./-]|'[^']*'|"[^"$\\!` + "`" + `]*")+`
	shellLine    = regexp.MustCompile(`^` + shellWord + `(?: ` + shellWord + `)*$`)
	shellWords   = regexp.MustCompile(shellWord)
	shellQuotes  = regexp.MustCompile(`'([^']*)'|"([^"]*)"`)
	documentedAt = "http://" + addrSetting.fallback
)

// readCurl reads a command line of curl. It returns an error for whatever it does
// not know, so that no example is taken for another than it is.
func readCurl(line string) (curlCommand, error) {
	if !shellLine.MatchString(line) {
		return curlCommand{}, errors.New("has what only a shell could read")
	}
	words := shellWords.FindAllString(line, -1)
	for i := range words {
		words[i] = shellQuotes.ReplaceAllString(words[i], "$1$2")
	}
	c := curlCommand{header: http.Header{}}
	if words[0] != "curl" {
		return c, fmt.Errorf("is not curl but %s", words[0])
	}
	if err := c.read(words[1:]); err != nil {
		return c, err
	}
	c.addDefaults()
	return c, nil
}

func (c *curlCommand) read(words []string) error {
	for len(words) > 0 {
		word := words[0]
		set, takesValue := curlOptions[word]
		path, isURL := strings.CutPrefix(word, documentedAt)
		switch {
		case takesValue && len(words) > 1:
			if !set(c, words[1]) {
				return fmt.Errorf("has the unknown value %s %q", word, words[1])
			}
			words = words[1:]
		case word == "-s": // no progress is shown here anyway
		case word == "-i":
			c.showsHead = true
		case isURL && c.path == "" && strings.HasPrefix(path, "/"):
			c.path = path
		default:
			return fmt.Errorf("has the unknown word %q", word)
		}
		words = words[1:]
	}
	if c.path == "" {
		return errors.New("asks for nothing at " + documentedAt)
	}
	return nil
}

// curlOptions take a value each; ok is false when they do not know it.
var curlOptions = map[string]func(c *curlCommand, value string) (ok bool){
	"-H": func(c *curlCommand, value string) bool {
		name, content, ok := strings.Cut(value, ": ")
		c.header.Add(name, content)
		return ok
	},
	"-d": func(c *curlCommand, value string) bool {
		first := c.body == ""
		c.body = value
		return first && value != "" && value[0] != '@'
	},
	"-X": func(c *curlCommand, value string) bool { c.method = value; return value != "" },
	"-D": func(c *curlCommand, value string) bool { c.showsHead = true; return value == "-" },
	"-o": func(c *curlCommand, value string) bool { c.discardsBody = true; return value == "/dev/null" },
}

// addDefaults adds what curl sends unasked.
func (c *curlCommand) addDefaults() {
	method := http.MethodGet
	if c.body != "" {
		method = http.MethodPost
		c.header.Set("Content-Type", cmp.Or(c.header.Get("Content-Type"), "application/x-www-form-urlencoded"))
	}
	c.method = cmp.Or(c.method, method)
	c.header.Set("Accept", cmp.Or(c.header.Get("Accept"), "*/*"))
}

// run sends the request to the service. A transport, like curl and unlike a
// client, follows no redirect.
func (c *curlCommand) run(ctx context.Context, s *service) (printout, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, s.url+c.path, strings.NewReader(c.body))
	if err != nil {
		return printout{}, err
	}
	req.Header = c.header.Clone()
	res, err := s.client.Transport.RoundTrip(req)
	if err != nil {
		return printout{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	p := printout{head: []string{res.Proto + " " + res.Status}, body: string(body)}
	for name, values := range res.Header {
		for _, value := range values {
			p.head = append(p.head, name+": "+value)
		}
	}
	if c.discardsBody {
		p.body = ""
	}
	return p, err
}

func TestCurlCommandsAreUnderstoodOrRefused(t *testing.T) {
	url := documentedAt + "/x"
	for line, want := range map[string]string{
		"curl " + url:                                   "GET /x map[Accept:[*/*]] ",
		"curl -s -X PUT " + url:                         "PUT /x map[Accept:[*/*]] ",
		"curl -i '" + url + "?a=1&b=2'":                 "GET /x?a=1&b=2 map[Accept:[*/*]] ",
		"curl " + url + ` -H "A: 'b' c" -D - -d 'a'"'"`: `POST /x map[A:['b' c] Accept:[*/*] Content-Type:[application/x-www-form-urlencoded]] a'`,
		"curl -H 'Content-Type: x' -d '{ }' " + url:     "POST /x map[Accept:[*/*] Content-Type:[x]] { }",
	} {
		c, err := readCurl(line)
		if got := fmt.Sprint(c.method, " ", c.path, " ", c.header, " ", c.body); err != nil || got != want {
			t.Errorf("%s\nis read as %s (%v)\nnot as     %s", line, got, err, want)
		}
	}
	for _, line := range []string{
		"", "wget " + url, "curl", "curl -s", "curl /x", "curl " + documentedAt, "curl " + documentedAt + "0/x",
		"curl http://example.com/x", "curl " + url + " " + url, "curl -v " + url, "curl -si " + url, "curl --silent " + url,
		"curl " + url + " -H", "curl " + url + " -H A", "curl -d @file " + url, "curl -d a -d b " + url, "curl -D file " + url,
		"curl -o file " + url, "curl " + url + " | jq", "curl " + url + "?a=1&b=2", "curl " + url + ` -d "$HOME"`,
		"curl  -s " + url, "curl 'x " + url, `curl \`,
	} {
		if c, err := readCurl(line); err == nil {
			t.Errorf("%s\nis read as %+v", line, c)
		}
	}
}
