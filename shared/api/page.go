package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
)

var (
	invalidLimit  = fault{Parameter: "limit", Code: "invalid_limit", Detail: "must be given once and be an integer from 1 to 1000"}
	invalidCursor = fault{Parameter: "cursor", Code: "invalid_cursor", Detail: "must be taken, as it is, from a Link header that an earlier page gave"}
)

// pageAsked reads the query of a list: how many ids, and the position after
// which they begin. Parameters that it does not know are none of its business.
func pageAsked(query string) (limit int, after string, err error) {
	if query == "" {
		return maxPage, "", nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, "", faults{{Code: "invalid_query", Detail: "must be percent-encoded name=value pairs joined by &"}}
	}
	var found faults
	limit, ok := limitAsked(values)
	if !ok {
		found = append(found, invalidLimit)
	}
	if cursors, given := values["cursor"]; given {
		if after, ok = decodeCursor(cursors[0]); !ok || len(cursors) > 1 {
			found = append(found, invalidCursor)
		}
	}
	if found != nil {
		return 0, "", found
	}
	return limit, after, nil
}

func limitAsked(values url.Values) (limit int, ok bool) {
	limits, given := values["limit"]
	if !given {
		return maxPage, true
	}
	limit, err := strconv.Atoi(limits[0])
	return limit, err == nil && len(limits) == 1 && 1 <= limit && limit <= maxPage && limits[0][0] != '+'
}

// A cursor on the wire is a store's position behind a checksum, in base64url.
// The checksum is no secret: it tells a damaged cursor from a whole one, so that a page
// is never silently a wrong one.
const checksumSize = 6

func checksum(position string) []byte {
	sum := sha256.Sum256([]byte("cursor " + position))
	return sum[:checksumSize]
}

func encodeCursor(position string) string {
	return base64.RawURLEncoding.EncodeToString(append(checksum(position), position...))
}

func decodeCursor(cursor string) (position string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= checksumSize {
		return "", false
	}
	position = string(raw[checksumSize:])
	return position, encodeCursor(position) == cursor
}
