package ledger

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"

	"orders/test/service"
)

// Read adds what a client of another program has noted: JSON values {"id": ..., "draft": {...}}, one
// for each create that it sent, with the id "" when no good response came. The error holds the
// violations, or says why the input cannot be read.
func (l *Ledger) Read(r io.Reader) error {
	var violations []error
	for decoder := jsontext.NewDecoder(r); ; {
		var line struct {
			ID    string `json:"id"`
			Draft Draft  `json:"draft"`
		}
		err := json.UnmarshalDecode(decoder, &line, json.RejectUnknownMembers(true))
		if errors.Is(err, io.EOF) {
			return summarize(violations)
		}
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		e := l.Begin(line.Draft)
		if line.ID == "" {
			l.Lose()
			continue
		}
		if _, err := l.Acknowledge(e, Sighting{}, service.Created{OrderID: line.ID, Status: line.Draft.Status}); err != nil {
			violations = append(violations, err)
		}
	}
}
