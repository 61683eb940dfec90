package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// compact merges what is planned until nothing is, as a server does, and deletes what was merged.
func compact(ctx context.Context, dir string) error {
	hours := func(n int64) int64 { return n * time.Hour.Milliseconds() }
	ranges := []int64{hours(2), hours(6), hours(18)}
	compactor, err := tsdb.NewLeveledCompactor(ctx, nil, nil, ranges, nil, nil)
	if err != nil {
		return err
	}
	for {
		plan, err := compactor.Plan(dir)
		if err != nil {
			return err
		}
		if len(plan) == 0 {
			return nil
		}
		made, err := compactor.Compact(dir, plan, nil)
		if err != nil {
			return err
		}
		for _, ulid := range made {
			fmt.Println(filepath.Join(dir, ulid.String()))
		}
		for _, merged := range plan {
			if err := os.RemoveAll(merged); err != nil {
				return err
			}
		}
	}
}
