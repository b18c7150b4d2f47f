package client

import (
	"fmt"
	"net/url"

	"github.com/kvorum/kvorum/wire"
)

const keyPath = "/v1/kv/"

// EscapeKey percent-encodes key, byte by byte, as one path segment: only letters, digits, '-', '_', '~' and '.' stand for
// themselves. Keys made of dots only are encoded too, as proxies would take them for "this" and "parent" directory.
func EscapeKey(key string) string {
	const hex = "0123456789ABCDEF"
	dots := onlyDots(key)
	escaped := make([]byte, 0, len(key)+8)
	for i := 0; i < len(key); i++ {
		b := key[i]
		if plainInKey(b) && !dots {
			escaped = append(escaped, b)
			continue
		}
		escaped = append(escaped, '%', hex[b>>4], hex[b&15])
	}
	return string(escaped)
}

func plainInKey(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return b == '-' || b == '_' || b == '~' || b == '.'
}

func onlyDots(key string) bool {
	for i := 0; i < len(key); i++ {
		if key[i] != '.' {
			return false
		}
	}
	return true
}

// target builds the URL of a request. Opaque keeps the path as it is: net/url would clean or re-encode it.
func target(endpoint *url.URL, path, query string) *url.URL {
	return &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Opaque: path, RawQuery: query}
}

func checkKey(operation, key string) *Error {
	switch {
	case key == "":
		return refuse(operation, key, wire.CodeInvalidRequest, "the key is empty; a key has 1 to 1024 bytes")
	case len(key) > wire.MaxKeyBytes:
		return refuse(operation, key[:32]+"...", wire.CodeKeyTooLong, fmt.Sprintf("the key has %d bytes, at most %d are allowed", len(key), wire.MaxKeyBytes))
	}
	return nil
}

func checkIdempotencyKey(operation, key, idempotencyKey string) *Error {
	bad := len(idempotencyKey) > wire.MaxIdempotencyKeyBytes
	for i := 0; i < len(idempotencyKey); i++ {
		bad = bad || idempotencyKey[i] <= ' ' || idempotencyKey[i] > '~'
	}
	if bad {
		return refuse(operation, key, wire.CodeInvalidRequest, "an idempotency key has 1 to 255 visible ASCII characters")
	}
	return nil
}
