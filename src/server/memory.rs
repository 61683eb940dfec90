//! Memory: how much of it this process may use: its cgroup's limit (version 2 or 1) or the
//! machine's memory, whichever is less.

use std::path::{Path, PathBuf};

/// Part of the memory that series of the head may take unless a flag says otherwise.
const HEAD_PERCENT: u64 = 60;
/// Part that one query may take.
const QUERY_PERCENT: u64 = 10;
/// Part that all queries may take.
const QUERIES_PERCENT: u64 = 20;

/// The default of `--storage.head.max-bytes`; 0, which is no limit, where nothing can be read.
pub fn head_limit() -> u64 {
    share(HEAD_PERCENT)
}

/// The default of `--query.max-bytes`.
pub fn query_limit() -> u64 {
    share(QUERY_PERCENT)
}

/// The default of `--query.total-max-bytes`.
pub fn queries_limit() -> u64 {
    share(QUERIES_PERCENT)
}

fn share(percent: u64) -> u64 {
    available(Path::new("/")).unwrap_or(0) / 100 * percent
}

/// Bytes this process may use, by the files below `root`.
fn available(root: &Path) -> Option<u64> {
    let machine = read(&root.join("proc/meminfo")).as_deref().and_then(total);
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| group_limits(root, line));
    limits.chain(machine).min()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal` of `meminfo`, which is in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The limits of one line of `/proc/self/cgroup` (`number:controllers:path`) and of all groups above
/// it. In a container the path may be the host's; then what is mounted at the top is the own group.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let (tops, file): (&[&str], &str) = match controllers {
        "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], "memory.max"),
        list if list.split(',').any(|c| c == "memory") => {
            (&["sys/fs/cgroup/memory"], "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let below: PathBuf = path.trim_start_matches('/').into();
    let groups = below.ancestors().flat_map(|group| tops.iter().map(move |top| (top, group)));
    // "max", and what version 1 says instead of it, are no numbers of bytes a machine has.
    groups
        .filter_map(|(top, group)| {
            read(&root.join(top).join(group).join(file))?.trim().parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(available(root.path()), expected, "{files:?}");
    }

    #[test]
    fn least_of_machine_and_groups() {
        let machine = ("proc/meminfo", "MemTotal:       2000 kB\nMemFree: 10 kB\n");
        check(&[], None);
        check(&[machine], Some(2_048_000));
        let v2 = ("proc/self/cgroup", "0::/a/b\n");
        check(&[machine, v2, ("sys/fs/cgroup/a/b/memory.max", "max\n")], Some(2_048_000));
        check(&[machine, v2, ("sys/fs/cgroup/a/b/memory.max", "5000\n")], Some(5000));
        check(&[machine, v2, ("sys/fs/cgroup/a/memory.max", "6000\n")], Some(6000));
        check(&[machine, v2, ("sys/fs/cgroup/memory.max", "7000\n")], Some(7000));
        let v1 = ("proc/self/cgroup", "3:cpu:/x\n2:memory,hugetlb:/docker/1\n0::/\n");
        let unlimited = "9223372036854771712\n";
        let inner = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        check(&[machine, v1, (inner, unlimited)], Some(2_048_000));
        check(&[machine, v1, (inner, "8000\n")], Some(8000));
        let outer = "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes";
        check(&[machine, v1, (inner, unlimited), (outer, "9000\n")], Some(9000));
    }
}
