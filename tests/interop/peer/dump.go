package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

var all = labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*")

// dump prints every sample, series in label order.
func (p *peer) dump(mint, maxt int64) error {
	q, err := p.db.Querier(mint, maxt)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(p.ctx, true, nil, all)
	for set.Next() {
		s := set.At()
		name := s.Labels().String()
		it := s.Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			var text string
			switch kind {
			case chunkenc.ValFloat:
				_, v := it.At()
				text = hex(v)
			case chunkenc.ValHistogram:
				_, h := it.AtHistogram(nil)
				text = histogramLine(h)
			case chunkenc.ValFloatHistogram:
				_, h := it.AtFloatHistogram(nil)
				text = floatHistogramLine(h)
			}
			fmt.Fprintf(p.out, "%s %d %d %s\n", name, it.AtT(), it.AtST(), text)
		}
		if it.Err() != nil {
			return it.Err()
		}
	}
	return set.Err()
}

// exemplars prints every exemplar.
func (p *peer) exemplars() error {
	q, err := p.db.ExemplarQuerier(p.ctx)
	if err != nil {
		return err
	}
	found, err := q.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{all})
	if err != nil {
		return err
	}
	for _, series := range found {
		for _, e := range series.Exemplars {
			fmt.Fprintf(p.out, "%s %d %s %s\n", series.SeriesLabels, e.Ts, hex(e.Value), e.Labels)
		}
	}
	return nil
}

// names prints every label name with its values.
func (p *peer) names() error {
	q, err := p.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	defer q.Close()
	names, _, err := q.LabelNames(p.ctx, nil)
	if err != nil {
		return err
	}
	for _, name := range names {
		values, _, err := q.LabelValues(p.ctx, name, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s: %s\n", name, strings.Join(values, " | "))
	}
	return nil
}

// series prints the labels of the series that satisfy the matchers.
func (p *peer) series(texts [][3]string) error {
	ms, err := matchers(texts)
	if err != nil {
		return err
	}
	q, err := p.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(p.ctx, true, nil, ms...)
	for set.Next() {
		fmt.Fprintln(p.out, set.At().Labels())
	}
	return set.Err()
}

// blocks prints the blocks of a directory that nobody has open: meta, series, chunks, tombstones.
func (p *peer) blocks(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, strings.Repeat("[0-9A-Z]", 26)))
	if err != nil {
		return err
	}
	var open []*tsdb.Block
	for _, path := range found {
		if _, err := os.Stat(filepath.Join(path, "meta.json")); err != nil {
			continue
		}
		block, err := tsdb.OpenBlock(nil, path, nil, nil)
		if err != nil {
			return err
		}
		defer block.Close()
		open = append(open, block)
	}
	slices.SortStableFunc(open, func(a, b *tsdb.Block) int {
		return int(a.MinTime() - b.MinTime())
	})
	for _, block := range open {
		if err := p.block(block); err != nil {
			return fmt.Errorf("%s: %w", block.Dir(), err)
		}
	}
	return nil
}

func (p *peer) block(block *tsdb.Block) error {
	m := block.Meta()
	s, c := m.Stats, m.Compaction
	fmt.Fprintf(p.out, "block %d %d level %d samples %d floats %d histograms %d series %d chunks %d tombstones %d sources %d parents %d hints [%s] failed %v deletable %v version %d size %d\n",
		m.MinTime, m.MaxTime, c.Level, s.NumSamples, s.NumFloatSamples, s.NumHistogramSamples, s.NumSeries, s.NumChunks,
		s.NumTombstones, len(c.Sources), len(c.Parents), strings.Join(c.Hints, " "), c.Failed, c.Deletable, m.Version,
		block.Size())
	ir, err := block.Index()
	if err != nil {
		return err
	}
	defer ir.Close()
	cr, err := block.Chunks()
	if err != nil {
		return err
	}
	defer cr.Close()
	tr, err := block.Tombstones()
	if err != nil {
		return err
	}
	defer tr.Close()
	name, value := index.AllPostingsKey()
	postings, err := ir.Postings(p.ctx, name, value)
	if err != nil {
		return err
	}
	var builder labels.ScratchBuilder
	for postings.Next() {
		var metas []chunks.Meta
		if err := ir.Series(postings.At(), &builder, &metas); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "series %d %s\n", postings.At(), builder.Labels())
		for _, meta := range metas {
			chunk, _, err := cr.ChunkOrIterable(meta)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "  chunk %d %d %d %d %d %x\n", meta.Ref, meta.MinTime, meta.MaxTime, chunk.Encoding(),
				chunk.NumSamples(), chunk.Bytes())
		}
	}
	if postings.Err() != nil {
		return postings.Err()
	}
	deleted := map[storage.SeriesRef]tombstones.Intervals{}
	err = tr.Iter(func(ref storage.SeriesRef, intervals tombstones.Intervals) error {
		deleted[ref] = intervals
		return nil
	})
	for _, ref := range slices.Sorted(maps.Keys(deleted)) {
		for _, i := range deleted[ref] {
			fmt.Fprintf(p.out, "tombstone %d %d %d\n", ref, i.Mint, i.Maxt)
		}
	}
	return err
}
