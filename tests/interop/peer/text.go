package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// Numbers that must survive exactly are written as the hexadecimal digits of their bits.

type spanText [2]int64

type histogramText struct {
	Hint     uint8      `json:"hint"`
	Schema   int32      `json:"schema"`
	ZeroT    string     `json:"zt"`
	Zero     uint64     `json:"zero"`
	Count    uint64     `json:"count"`
	Sum      string     `json:"sum"`
	PosSpans []spanText `json:"ps"`
	NegSpans []spanText `json:"ns"`
	Pos      []int64    `json:"p"`
	Neg      []int64    `json:"n"`
	Custom   []string   `json:"custom"`
}

type floatHistogramText struct {
	Hint     uint8      `json:"hint"`
	Schema   int32      `json:"schema"`
	ZeroT    string     `json:"zt"`
	Zero     string     `json:"zero"`
	Count    string     `json:"count"`
	Sum      string     `json:"sum"`
	PosSpans []spanText `json:"ps"`
	NegSpans []spanText `json:"ns"`
	Pos      []string   `json:"p"`
	Neg      []string   `json:"n"`
	Custom   []string   `json:"custom"`
}

func bits(hex string) (float64, error) {
	b, err := strconv.ParseUint(hex, 16, 64)
	return math.Float64frombits(b), err
}

// reader turns texts into numbers and keeps the first error.
type reader struct{ err error }

func (r *reader) float(hex string) float64 {
	v, err := bits(hex)
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) floats(texts []string) []float64 {
	if len(texts) == 0 {
		return nil
	}
	all := make([]float64, len(texts))
	for i, t := range texts {
		all[i] = r.float(t)
	}
	return all
}

func spans(texts []spanText) []histogram.Span {
	var all []histogram.Span
	for _, t := range texts {
		all = append(all, histogram.Span{Offset: int32(t[0]), Length: uint32(t[1])})
	}
	return all
}

func (t *histogramText) histogram() (*histogram.Histogram, error) {
	if t == nil {
		return nil, nil
	}
	var r reader
	h := &histogram.Histogram{
		CounterResetHint: histogram.CounterResetHint(t.Hint),
		Schema:           t.Schema,
		ZeroThreshold:    r.float(t.ZeroT),
		ZeroCount:        t.Zero,
		Count:            t.Count,
		Sum:              r.float(t.Sum),
		PositiveSpans:    spans(t.PosSpans),
		NegativeSpans:    spans(t.NegSpans),
		PositiveBuckets:  t.Pos,
		NegativeBuckets:  t.Neg,
		CustomValues:     r.floats(t.Custom),
	}
	return h, r.err
}

func (t *floatHistogramText) histogram() (*histogram.FloatHistogram, error) {
	if t == nil {
		return nil, nil
	}
	var r reader
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(t.Hint),
		Schema:           t.Schema,
		ZeroThreshold:    r.float(t.ZeroT),
		ZeroCount:        r.float(t.Zero),
		Count:            r.float(t.Count),
		Sum:              r.float(t.Sum),
		PositiveSpans:    spans(t.PosSpans),
		NegativeSpans:    spans(t.NegSpans),
		PositiveBuckets:  r.floats(t.Pos),
		NegativeBuckets:  r.floats(t.Neg),
		CustomValues:     r.floats(t.Custom),
	}
	return h, r.err
}

func hex(v float64) string { return fmt.Sprintf("%x", math.Float64bits(v)) }

func spansLine(all []histogram.Span) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, fmt.Sprintf("%d:%d", s.Offset, s.Length))
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func intsLine(all []int64) string { return fmt.Sprint(all) }

func floatsLine(all []float64) string {
	var texts []string
	for _, v := range all {
		texts = append(texts, hex(v))
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func histogramLine(h *histogram.Histogram) string {
	return fmt.Sprintf("i %d %d %s %d %d %s %s%s %s%s %s", h.CounterResetHint, h.Schema, hex(h.ZeroThreshold),
		h.ZeroCount, h.Count, hex(h.Sum), spansLine(h.PositiveSpans), intsLine(h.PositiveBuckets),
		spansLine(h.NegativeSpans), intsLine(h.NegativeBuckets), floatsLine(h.CustomValues))
}

func floatHistogramLine(h *histogram.FloatHistogram) string {
	return fmt.Sprintf("f %d %d %s %s %s %s %s%s %s%s %s", h.CounterResetHint, h.Schema, hex(h.ZeroThreshold),
		hex(h.ZeroCount), hex(h.Count), hex(h.Sum), spansLine(h.PositiveSpans), floatsLine(h.PositiveBuckets),
		spansLine(h.NegativeSpans), floatsLine(h.NegativeBuckets), floatsLine(h.CustomValues))
}

func matchers(texts [][3]string) ([]*labels.Matcher, error) {
	types := map[string]labels.MatchType{
		"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp,
	}
	var all []*labels.Matcher
	for _, t := range texts {
		m, err := labels.NewMatcher(types[t[1]], t[0], t[2])
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}
