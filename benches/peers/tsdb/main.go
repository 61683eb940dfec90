// Tsdb does the work of our storage benchmarks with Prometheus's own tsdb package.
//
//	tsdb postings BLOCK        matchers to series lists, in the block and in a head of its series
//	tsdb compact DIR           merges the blocks in DIR, 2h to 6h to 18h; prints the block made
//	tsdb decode BLOCK          nanoseconds a sample of iterating over all chunks
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tsdb postings|compact|decode DIR")
		os.Exit(2)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/prometheus/prometheus" {
				fmt.Fprintln(os.Stderr, "prometheus/tsdb", dep.Version, info.GoVersion)
			}
		}
	}
	work := map[string]func(context.Context, string) error{
		"postings": postings, "compact": compact, "decode": decode,
	}[os.Args[1]]
	if work == nil {
		fmt.Fprintln(os.Stderr, "tsdb: unknown work", os.Args[1])
		os.Exit(2)
	}
	if err := work(context.Background(), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "tsdb:", err)
		os.Exit(1)
	}
}
