package replica

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/kvorum/kvorum/wire"
)

const maxRequestIDBytes = 128

// RequestIDs names requests: what the client calls it, else prefix and number, unique among all nodes and restarts.
type RequestIDs struct {
	prefix string
	last   atomic.Uint64
}

// NewRequestIDs draws a prefix.
func NewRequestIDs() *RequestIDs {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the process if there is no randomness
	return &RequestIDs{prefix: hex.EncodeToString(random[:]) + "-"}
}

// Name gives the request's id and puts it into the reply's headers. A client's id is taken over if it is 1-128 visible
// ASCII characters.
func (g *RequestIDs) Name(w http.ResponseWriter, r *http.Request) string {
	id := ""
	if given := r.Header[wire.HeaderRequestID]; len(given) == 1 && len(given[0]) <= maxRequestIDBytes && visibleASCII(given[0]) {
		id = given[0]
	} else {
		var text [40]byte
		id = string(strconv.AppendUint(append(text[:0], g.prefix...), g.last.Add(1), 36))
	}
	w.Header()[wire.HeaderRequestID] = []string{id}
	return id
}

// visibleASCII reports whether s has at least one character and all are in '!'..'~'.
func visibleASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
