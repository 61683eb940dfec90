package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"
)

const runs = 9

func matcherSets() (names []string, sets [][]*labels.Matcher) {
	must := labels.MustNewMatcher
	names = []string{`http_requests_total{job="job3"}`, `{instance=~"10.0.1.*"}`, `{handler=~".+",code!="200"}`}
	sets = [][]*labels.Matcher{
		{must(labels.MatchEqual, "__name__", "http_requests_total"), must(labels.MatchEqual, "job", "job3")},
		{must(labels.MatchRegexp, "instance", "10.0.1.*")},
		{must(labels.MatchRegexp, "handler", ".+"), must(labels.MatchNotEqual, "code", "200")},
	}
	return names, sets
}

// measure prints the median of expanding what the matchers select in the index that open gives.
func measure(ctx context.Context, what string, open func() (tsdb.IndexReader, func(), error)) error {
	names, sets := matcherSets()
	for i, set := range sets {
		var times []time.Duration
		var refs int
		for range runs {
			ix, done, err := open()
			if err != nil {
				return err
			}
			start := time.Now()
			p, err := tsdb.PostingsForMatchers(ctx, ix, set...)
			if err != nil {
				return err
			}
			all, err := index.ExpandPostings(p)
			if err != nil {
				return err
			}
			times = append(times, time.Since(start))
			refs = len(all)
			done()
		}
		slices.Sort(times)
		fmt.Printf("%s\t%s\t%d\t%.1f\n", what, names[i], refs, float64(times[runs/2].Nanoseconds())/1e3)
	}
	return nil
}

func postings(ctx context.Context, dir string) error {
	openBlock := func() (*tsdb.Block, tsdb.IndexReader, error) {
		block, err := tsdb.OpenBlock(nil, dir, nil, nil)
		if err != nil {
			return nil, nil, err
		}
		ix, err := block.Index()
		return block, ix, err
	}
	block, ix, err := openBlock()
	if err != nil {
		return err
	}
	defer block.Close()
	defer ix.Close()
	again := func() (tsdb.IndexReader, func(), error) { return ix, func() {}, nil }
	fresh := func() (tsdb.IndexReader, func(), error) {
		block, ix, err := openBlock()
		return ix, func() { ix.Close(); block.Close() }, err
	}
	if err := measure(ctx, "block cold", fresh); err != nil {
		return err
	}
	if err := measure(ctx, "block again", again); err != nil {
		return err
	}

	headDir, err := os.MkdirTemp("", "tsdb-head-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(headDir)
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = headDir
	head, err := tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	if err != nil {
		return err
	}
	defer head.Close()
	if err := head.Init(0); err != nil {
		return err
	}
	all, err := ix.Postings(ctx, "", "")
	if err != nil {
		return err
	}
	app := head.Appender(ctx)
	var builder labels.ScratchBuilder
	for n := 1; all.Next(); n++ {
		if err := ix.Series(all.At(), &builder, nil); err != nil {
			return err
		}
		if _, err := app.Append(0, builder.Labels(), block.MinTime(), 1); err != nil {
			return err
		}
		if n%10000 == 0 {
			if err := app.Commit(); err != nil {
				return err
			}
			app = head.Appender(ctx)
		}
	}
	if err := app.Commit(); err != nil {
		return err
	}
	headIndex, err := head.Index()
	if err != nil {
		return err
	}
	defer headIndex.Close()
	return measure(ctx, "head", func() (tsdb.IndexReader, func(), error) { return headIndex, func() {}, nil })
}
