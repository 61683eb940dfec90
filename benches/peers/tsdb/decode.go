package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// mostChunks bounds what is held in memory.
const mostChunks = 200_000

// decode iterates over every sample of the block's chunks and prints the median of several runs.
func decode(ctx context.Context, dir string) error {
	block, err := tsdb.OpenBlock(nil, dir, nil, nil)
	if err != nil {
		return err
	}
	defer block.Close()
	ix, err := block.Index()
	if err != nil {
		return err
	}
	defer ix.Close()
	reader, err := block.Chunks()
	if err != nil {
		return err
	}
	defer reader.Close()
	all, err := ix.Postings(ctx, "", "")
	if err != nil {
		return err
	}
	var held []chunkenc.Chunk
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	for all.Next() && len(held) < mostChunks {
		if err := ix.Series(all.At(), &builder, &metas); err != nil {
			return err
		}
		for _, meta := range metas {
			chunk, _, err := reader.ChunkOrIterable(meta)
			if err != nil {
				return err
			}
			held = append(held, chunk)
		}
	}
	var times []float64
	var it chunkenc.Iterator
	var sum float64
	for range runs {
		samples := 0
		start := time.Now()
		for _, chunk := range held {
			it = chunk.Iterator(it)
			for it.Next() == chunkenc.ValFloat {
				t, v := it.At()
				sum += v + float64(t)
				samples++
			}
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/float64(samples))
	}
	slices.Sort(times)
	fmt.Printf("decode\t%d chunks\t%.2f ns a sample\n", len(held), times[runs/2])
	_ = sum
	return nil
}
