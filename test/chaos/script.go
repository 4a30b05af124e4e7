package chaos

import (
	"bytes"
	"embed"
	"encoding/json/v2"
	"fmt"
	"path"
	"testing"
)

// A script is a history that is written down: a file of testdata.
type script struct {
	// Why is what failed when the history was found.
	Why   string `json:"why"`
	Steps []Step `json:"steps"`
}

// String is the script as a file, a step a line.
func (s script) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"why\": %s,\n  \"steps\": [", text(s.Why))
	for i, step := range s.Steps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    %s", text(step))
	}
	b.WriteString("\n  ]\n}\n")
	return b.String()
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // steps are plain values, which always have a JSON form
	}
	return b
}

//go:embed testdata/*.json
var scripts embed.FS

// replay plays the histories of testdata.
func replay(t *testing.T, open func(T) Deployment) {
	files, err := scripts.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			s := read(t, path.Join("testdata", file.Name()))
			if failure := perform(t.Context(), open, s.Steps); failure != "" {
				t.Fatal(failure)
			}
		})
	}
}

func read(t *testing.T, name string) (s script) {
	b, err := scripts.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &s, json.RejectUnknownMembers(true))
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}
