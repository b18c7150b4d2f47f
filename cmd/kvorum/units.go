package main

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// decodeDuration reads every duration of the program, wherever it was given: 500ms, 10s, 2m. A bare number, which a YAML
// file makes a number of nanoseconds in kong's own reading, is refused: nobody means nanoseconds.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("duration")
	if err != nil {
		return err
	}
	text := fmt.Sprint(token.Value)
	parsed, err := time.ParseDuration(text)
	if _, isNumber := strconv.ParseFloat(text, 64); err != nil && isNumber == nil {
		return fmt.Errorf("%s has no unit: write %ss for seconds or %sms for milliseconds", text, text, text)
	}
	if err != nil {
		return fmt.Errorf("%q is no duration: write one such as 500ms, 10s or 2m", text)
	}
	if parsed < 0 {
		return fmt.Errorf("%s is negative: write a duration such as 500ms, 10s or 2m", text)
	}
	target.SetInt(int64(parsed))
	return nil
}

// byteSize is a number of bytes that reads and prints as 512MiB, 2GiB, 100MB or 4096.
type byteSize uint64

// UnmarshalText reads a size.
func (b *byteSize) UnmarshalText(text []byte) error {
	units := []struct {
		suffix string
		factor uint64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(string(text), unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
		if err != nil || n > (1<<62)/unit.factor {
			break
		}
		*b = byteSize(n * unit.factor)
		return nil
	}
	return errors.New("want a number of bytes such as 4096, 512MiB or 2GB")
}

// String prints a size with three digits at most after rounding.
func (b byteSize) String() string {
	value, unit := float64(b), 0
	for value >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	name := []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f%s", value, name)
	}
	return fmt.Sprintf("%.1f%s", value, name)
}

// counted is a number with what is counted: 1 shard, 2 shards. The plural is the singular with an s, unless it is given.
func counted[N int | int64 | uint64](n N, singular string, plural ...string) string {
	switch {
	case n == 1:
		return "1 " + singular
	case len(plural) > 0:
		return fmt.Sprint(n, " ", plural[0])
	}
	return fmt.Sprint(n, " ", singular, "s")
}
