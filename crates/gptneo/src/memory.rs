//! How much memory there is, and how much this process has used.
//!
//! What is available is the smaller of what the system says (`MemAvailable`) and what the control groups around us
//! leave: their limit less what they use, page cache that can be dropped not counted.

use std::fs;
use std::path::Path;

/// Bytes that can be used without pushing anything out, if the system tells.
pub(crate) fn available() -> Option<u64> {
    available_under(Path::new("/"))
}

/// All the memory there is, if the system tells.
pub(crate) fn total() -> Option<u64> {
    meminfo(Path::new("/"), "MemTotal:")
}

/// The most memory this process has held, in bytes.
pub(crate) fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:").map(|kib| kib * 1024)
}

/// Begins the count of [`peak`] anew, where the system can.
pub(crate) fn forget_peak() {
    // Without it the peak is an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn available_under(root: &Path) -> Option<u64> {
    let system = meminfo(root, "MemAvailable:");
    [system, group_room(root)].into_iter().flatten().min()
}

fn meminfo(root: &Path, name: &str) -> Option<u64> {
    field(&fs::read_to_string(root.join("proc/meminfo")).ok()?, name).map(|kib| kib.saturating_mul(1024))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// What the tightest control group leaves.
fn group_room(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut tightest: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next()?, parts.next()?);
        let (mount, limit, usage) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max", "memory.current"),
            other if other.split(',').any(|c| c == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        let mount = root.join(mount);
        let mut dir = mount.join(path.trim_start_matches('/'));
        while dir.starts_with(&mount) {
            let room = room_of(&dir, limit, usage);
            tightest = [tightest, room].into_iter().flatten().min();
            if !dir.pop() {
                break;
            }
        }
    }
    tightest
}

fn room_of(dir: &Path, limit: &str, usage: &str) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number(limit)?;
    let droppable = fs::read_to_string(dir.join("memory.stat"))
        .ok()
        .and_then(|stat| field(&stat, "inactive_file").or_else(|| field(&stat, "total_inactive_file")))
        .unwrap_or(0);
    Some(limit.saturating_sub(number(usage).unwrap_or(0).saturating_sub(droppable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], wanted: Option<u64>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(available_under(dir.path()), wanted);
    }

    #[test]
    fn believes_the_system_where_no_group_limits() {
        check(&[("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   7 kB\n")], Some(7 * 1024));
        check(&[], None);
    }

    #[test]
    fn the_tightest_group_counts_and_page_cache_does_not() {
        check(
            &[
                ("proc/meminfo", "MemAvailable: 1000000 kB\n"),
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("sys/fs/cgroup/a/memory.max", "5000\n"),
                ("sys/fs/cgroup/a/memory.current", "4000\n"),
                ("sys/fs/cgroup/a/memory.stat", "anon 1000\ninactive_file 3000\n"),
            ],
            Some(4000),
        );
    }

    #[test]
    fn reads_the_older_layout() {
        check(
            &[
                ("proc/self/cgroup", "3:cpu:/x\n4:memory:/x\n"),
                ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000\n"),
                ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "4000\n"),
            ],
            Some(1000),
        );
    }

    #[test]
    fn a_process_has_a_peak() {
        assert!(peak().unwrap() > 100_000);
    }
}
