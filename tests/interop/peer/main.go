// Peer executes a script of storage steps with Prometheus's own tsdb package.
//
// A script is one JSON object a line; every step prints what it did or read. Our side of the same
// language is storage/examples/interop: the same script gives the same text, whoever runs it and
// whoever wrote the directory.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/prometheus/common/model"
)

// step is one line of a script; which fields count depends on Op.
type step struct {
	Op   string `json:"op"`
	Dir  string `json:"dir"`
	Name string `json:"name"`

	// open
	MinBlock        int64  `json:"min_block"`
	MaxBlock        int64  `json:"max_block"`
	Wal             string `json:"wal"`
	SegmentBytes    int    `json:"segment_bytes"`
	Window          int64  `json:"window"`
	SamplesPerChunk int    `json:"samples_per_chunk"`
	Xor2            bool   `json:"xor2"`
	StartTimes      bool   `json:"start_times"`
	HistogramST     bool   `json:"histogram_st"`
	Exemplars       bool   `json:"exemplars"`
	Metadata        bool   `json:"metadata"`
	Snapshot        bool   `json:"snapshot"`

	// begin
	V2 bool `json:"v2"`

	// add, exemplar, meta, delete, select
	Labels    map[string]string   `json:"l"`
	T         int64               `json:"t"`
	ST        int64               `json:"st"`
	Float     string              `json:"f"`
	Histogram *histogramText      `json:"h"`
	FloatHist *floatHistogramText `json:"fh"`
	Of        map[string]string   `json:"of"`
	Type      string              `json:"type"`
	Unit      string              `json:"unit"`
	Help      string              `json:"help"`
	Min       int64               `json:"min"`
	Max       int64               `json:"max"`
	Matchers  [][3]string         `json:"m"`
	WithHead  bool                `json:"with_head"`
}

// peer is what is open between steps.
type peer struct {
	ctx context.Context
	out *bufio.Writer
	db  *tsdb.DB
	app transaction
}

// transaction is an appender of either kind.
type transaction struct {
	v1 storage.Appender
	v2 storage.AppenderV2
}

func main() {
	p := &peer{ctx: context.Background(), out: bufio.NewWriterSize(os.Stdout, 1<<20)}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			fmt.Fprintf(os.Stderr, "line %d: %v\n", number, err)
			os.Exit(2)
		}
		if err := p.run(&s); err != nil {
			fmt.Fprintf(p.out, "%d %s: %v\n", number, s.Op, err)
		} else if s.Op == "commit" {
			fmt.Fprintf(p.out, "%d commit\n", number)
		}
		// Whoever reads may kill us at any line that was acknowledged.
		if s.Op != "add" {
			p.out.Flush()
		}
	}
	p.out.Flush()
}

func (p *peer) run(s *step) error {
	switch s.Op {
	case "records":
		return p.records(s.Dir, s.Name)
	case "chunks":
		return p.blocks(s.Dir)
	case "open":
		return p.open(s)
	case "kill":
		p.out.Flush()
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if p.db == nil {
		return fmt.Errorf("no database is open")
	}
	switch s.Op {
	case "begin":
		p.app = transaction{}
		if s.V2 {
			p.app.v2 = p.db.AppenderV2(p.ctx)
		} else {
			p.app.v1 = p.db.Appender(p.ctx)
		}
		return nil
	case "add":
		return p.app.add(s)
	case "exemplar":
		v, err := bits(s.Float)
		if err != nil {
			return err
		}
		e := exemplar.Exemplar{Labels: labels.FromMap(s.Labels), Value: v, Ts: s.T, HasTs: true}
		_, err = p.app.v1.AppendExemplar(0, labels.FromMap(s.Of), e)
		return err
	case "meta":
		m := metadata.Metadata{Type: model.MetricType(s.Type), Unit: s.Unit, Help: s.Help}
		_, err := p.app.v1.UpdateMetadata(0, labels.FromMap(s.Of), m)
		return err
	case "commit":
		if p.app.v2 != nil {
			return p.app.v2.Commit()
		}
		return p.app.v1.Commit()
	case "rollback":
		if p.app.v2 != nil {
			return p.app.v2.Rollback()
		}
		return p.app.v1.Rollback()
	case "delete":
		ms, err := matchers(s.Matchers)
		if err != nil {
			return err
		}
		return p.db.Delete(p.ctx, s.Min, s.Max, ms...)
	case "clean":
		return p.db.CleanTombstones()
	case "maintain":
		return p.db.Compact(p.ctx)
	case "stale":
		return p.db.CompactStaleHead()
	case "snapshot":
		return p.db.Snapshot(s.Dir, s.WithHead)
	case "dump":
		return p.dump(s.Min, s.Max)
	case "exemplars":
		return p.exemplars()
	case "names":
		return p.names()
	case "select":
		return p.series(s.Matchers)
	case "close":
		err := p.db.Close()
		p.db = nil
		return err
	}
	return fmt.Errorf("unknown step")
}

func (t transaction) add(s *step) error {
	ls := labels.FromMap(s.Labels)
	h, err := s.Histogram.histogram()
	if err != nil {
		return err
	}
	fh, err := s.FloatHist.histogram()
	if err != nil {
		return err
	}
	var v float64
	if h == nil && fh == nil {
		if v, err = bits(s.Float); err != nil {
			return err
		}
	}
	switch {
	case t.v2 != nil:
		_, err = t.v2.Append(0, ls, s.ST, s.T, v, h, fh, storage.AOptions{})
	case h != nil || fh != nil:
		_, err = t.v1.AppendHistogram(0, ls, s.T, h, fh)
	default:
		_, err = t.v1.Append(0, ls, s.T, v)
	}
	return err
}

func (p *peer) open(s *step) error {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = 0
	o.BlockReloadInterval = time.Hour
	o.MinBlockDuration, o.MaxBlockDuration = s.MinBlock, s.MaxBlock
	o.OutOfOrderTimeWindow = s.Window
	o.EnableSTStorage, o.EnableHistogramSTEncoding = s.StartTimes, s.HistogramST
	o.XOR2EncodingAllowed = s.Xor2
	o.EnableExemplarStorage, o.MaxExemplars = s.Exemplars, 100000
	o.EnableMetadataWALRecords = s.Metadata
	o.EnableMemorySnapshotOnShutdown = s.Snapshot
	if s.SegmentBytes > 0 {
		o.WALSegmentSize = s.SegmentBytes
	}
	if s.SamplesPerChunk > 0 {
		o.SamplesPerChunk = s.SamplesPerChunk
	}
	if s.Xor2 {
		o.FloatChunkEncoding = chunkenc.EncXOR2
	}
	switch s.Wal {
	case "snappy":
		o.WALCompression = compression.Snappy
	case "zstd":
		o.WALCompression = compression.Zstd
	case "none":
		o.WALCompression = compression.None
	default:
		return fmt.Errorf("unknown compression %q", s.Wal)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := tsdb.Open(s.Dir, logger, nil, o, nil)
	if err != nil {
		return err
	}
	// Only when the script says so.
	db.DisableCompactions()
	p.db = db
	return nil
}
