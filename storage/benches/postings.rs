//! Matchers to series lists: a head of many series and a block cut from it, each matcher set cold
//! (nothing remembered) and again after an unrelated series came in. Medians in microseconds.
//!
//! `cargo bench -p storage --bench postings -- DIR [TARGETS]`; DIR is made, and its block stays, so
//! that the peer (`benches/peers/storage postings`) answers the same from the same block.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod workload;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::{AppendOptions, Appendable, CancelToken, Labels, MatchOp, Matcher, TimeRange, Value};
use storage::block::{Block, BlockMeta};
use storage::compact::{WriteOptions, write_block};
use storage::db::{Db, Options, ReplayProgress, WalFsync};
use storage::fs::{Fs, RealFs};
use storage::source::BlockReader;

type Failure = Box<dyn std::error::Error>;

const START: i64 = 1_795_200_000_000;
const RUNS: usize = 15;

fn sets() -> Result<Vec<(&'static str, Vec<Matcher>)>, Failure> {
    let regex = |name, pattern| Matcher::new(MatchOp::Regex, name, pattern);
    Ok(vec![
        (
            r#"http_requests_total{job="job3"}"#,
            vec![Matcher::equal("__name__", "http_requests_total"), Matcher::equal("job", "job3")],
        ),
        (r#"{instance=~"10.0.1.*"}"#, vec![regex("instance", "10.0.1.*")?]),
        (
            r#"{handler=~".+",code!="200"}"#,
            vec![regex("handler", ".+")?, Matcher::new(MatchOp::NotEqual, "code", "200")?],
        ),
    ])
}

fn append(db: &Arc<Db>, series: impl Iterator<Item = Labels>) -> Result<(), Failure> {
    let mut app = db.appender(AppendOptions::default());
    for labels in series {
        let r = app.series(&labels)?;
        app.append(r, START, 0, Value::Float(1.0))?;
    }
    app.commit()?;
    Ok(())
}

/// Median time of `run` in microseconds, and the number of series it found.
fn median(
    mut run: impl FnMut(usize) -> Result<(f64, usize), Failure>,
) -> Result<(f64, usize), Failure> {
    let mut times = Vec::with_capacity(RUNS);
    let mut found = 0;
    for i in 0..RUNS {
        let (time, series) = run(i)?;
        times.push(time);
        found = series;
    }
    times.sort_by(f64::total_cmp);
    Ok((times[RUNS / 2], found))
}

fn timed(source: &dyn BlockReader, matchers: &[Matcher]) -> Result<(f64, usize), Failure> {
    let start = Instant::now();
    let ids = source.postings(matchers, &CancelToken::default())?;
    let time = start.elapsed().as_nanos() as f64 / 1e3;
    Ok((time, black_box(ids).len()))
}

fn head_source(db: &Db) -> Result<Arc<dyn BlockReader>, Failure> {
    Ok(db.readers(TimeRange::ALL).into_iter().next().ok_or("no head")?)
}

fn report(what: &str, name: &str, (time, series): (f64, usize)) {
    println!("{what}\t{name}\t{series}\t{time:.1}");
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some(dir) = args.first() else {
        println!("postings: no directory given, nothing measured");
        return Ok(());
    };
    let dir = Path::new(dir);
    let targets: usize = args.get(1).map_or(Ok(1000), |n| n.parse())?;

    let options = Options { wal_fsync: WalFsync::Off, ..Options::default() };
    let head_dir = dir.join("head");
    let db = Db::open(&head_dir, options, workload::env(), &ReplayProgress::default())?;
    let families = workload::families();
    for target in 0..targets {
        append(&db, families.iter().map(|family| family.labels(target)))?;
    }

    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let ulid = "01JDAAAAAAAAAAAAAAAAAAAAAA".parse()?;
    let meta = BlockMeta::new(ulid, START, START + 1, None);
    let block_dir = dir.join(meta.ulid.to_string());
    if !block_dir.exists() {
        let (cancel, options) = (CancelToken::default(), WriteOptions::default());
        write_block(&fs, dir, &[head_source(&db)?], meta, &options, &cancel)?;
    }

    for (name, matchers) in sets()? {
        // A series that every matcher has to look at makes what was remembered useless.
        db.forget_postings();
        report(
            "head cold",
            name,
            median(|_| {
                db.forget_postings();
                timed(&*head_source(&db)?, &matchers)
            })?,
        );
        timed(&*head_source(&db)?, &matchers)?;
        report(
            "head again",
            name,
            median(|i| {
                let unrelated = Labels::from_pairs([
                    ("__name__", "unrelated"),
                    ("instance", &format!("192.168.0.1:{i}")),
                    ("job", name),
                ]);
                append(&db, std::iter::once(unrelated))?;
                timed(&*head_source(&db)?, &matchers)
            })?,
        );
        report("block cold", name, median(|_| timed(&Block::open(&*fs, &block_dir)?, &matchers))?);
        let block = Block::open(&*fs, &block_dir)?;
        timed(&block, &matchers)?;
        report("block again", name, median(|_| timed(&block, &matchers))?);
    }
    // What the log holds is not worth a clean end.
    std::fs::remove_dir_all(&head_dir)?;
    Ok(())
}
