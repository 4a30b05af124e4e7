package order

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/oklog/ulid/v2"
)

// An ID names one order for ever: "ORD" and 26 characters of Crockford's
// base 32. Outside the packages that mint and store ids it is opaque.
type ID string

const (
	idPrefix = "ORD"
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// NewID is the id of an order that was created without an idempotency key. Its
// ULID holds the time of creation, so such ids sort by it.
func NewID(u ulid.ULID) ID { return ID(idPrefix + u.String()) }

// KeyedID is the id of the order that an idempotency key names: a hash of the
// caller, who is empty while there is no authorizer, and the key. A retry, then,
// finds its own order, and no id is ever given to two.
func KeyedID(caller, key string) ID {
	sum := sha256.Sum256([]byte(caller + "\x00" + key))
	return ID(idPrefix + crockford.EncodeToString(sum[:])[:ulid.EncodedSize])
}

// ParseID returns s as an ID. It returns ErrNotFound when s does not have the
// form of one, because then no order can be found under it.
func ParseID(s string) (ID, error) {
	code, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(code) != ulid.EncodedSize || strings.Trim(code, alphabet) != "" {
		return "", ErrNotFound
	}
	return ID(s), nil
}

// ULID is the ULID that the id was made from. An id made from an idempotency
// key gives a meaningless one, or ok == false.
func (id ID) ULID() (u ulid.ULID, ok bool) {
	u, err := ulid.Parse(strings.TrimPrefix(string(id), idPrefix))
	return u, err == nil
}
