package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// records prints the log of that name (wal or wbl) in the order it is replayed: the last checkpoint,
// then the segments behind it.
func (p *peer) records(dir, name string) error {
	logs := filepath.Join(dir, name)
	ranges := []wlog.SegmentRange{{Dir: logs, First: -1, Last: -1}}
	checkpoint, at, err := wlog.LastCheckpoint(logs)
	switch {
	case err == nil:
		ranges[0].First = at + 1
		ranges = append([]wlog.SegmentRange{{Dir: checkpoint, First: -1, Last: -1}}, ranges...)
	case !errors.Is(err, record.ErrNotFound):
		return err
	}
	segments, err := wlog.NewSegmentsRangeReader(ranges...)
	if err != nil {
		return err
	}
	defer segments.Close()
	r := wlog.NewReader(segments)
	for r.Next() {
		if err := p.record(r.Record()); err != nil {
			return err
		}
	}
	return r.Err()
}

func (p *peer) record(rec []byte) error {
	dec := record.NewDecoder(nil, slog.New(slog.DiscardHandler))
	kind := dec.Type(rec)
	fmt.Fprintf(p.out, "record %s\n", kind)
	switch kind {
	case record.Series:
		entries, err := dec.Series(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %s\n", e.Ref, e.Labels)
		}
		return err
	case record.Samples, record.SamplesV2:
		entries, err := dec.Samples(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d %d %s\n", e.Ref, e.T, e.ST, hex(e.V))
		}
		return err
	case record.Tombstones:
		entries, err := dec.Tombstones(rec, nil)
		for _, e := range entries {
			for _, i := range e.Intervals {
				fmt.Fprintf(p.out, "  %d %d %d\n", e.Ref, i.Mint, i.Maxt)
			}
		}
		return err
	case record.Exemplars:
		entries, err := dec.Exemplars(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d %s %s\n", e.Ref, e.T, hex(e.V), e.Labels)
		}
		return err
	case record.MmapMarkers:
		entries, err := dec.MmapMarkers(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d\n", e.Ref, e.MmapRef)
		}
		return err
	case record.Metadata:
		entries, err := dec.Metadata(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d %q %q\n", e.Ref, e.Type, e.Unit, e.Help)
		}
		return err
	case record.HistogramSamples, record.CustomBucketsHistogramSamples, record.HistogramSamplesV2:
		entries, err := dec.HistogramSamples(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d %d %s\n", e.Ref, e.T, e.ST, histogramLine(e.H))
		}
		return err
	case record.FloatHistogramSamples, record.CustomBucketsFloatHistogramSamples, record.FloatHistogramSamplesV2:
		entries, err := dec.FloatHistogramSamples(rec, nil)
		for _, e := range entries {
			fmt.Fprintf(p.out, "  %d %d %d %s\n", e.Ref, e.T, e.ST, floatHistogramLine(e.FH))
		}
		return err
	}
	return fmt.Errorf("unknown record %d", rec[0])
}
