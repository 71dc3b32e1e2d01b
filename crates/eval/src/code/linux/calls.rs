//! The system calls that are left to a program.
//!
//! A list of what is allowed: all others answer as if the kernel did not have them. Landlock decides which files may be opened; what it
//! does not govern (modes, owners and times of files, signals, other processes, sockets, limits) is not on the list.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Calls that are allowed whatever is asked of them.
const FREE: &[i64] = &[
    // Open files.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_getdents64,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Names of files. What is there can be seen, not read.
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Signals to itself, as timers send them.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    // Itself.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // The child becomes the interpreter by it; Landlock lets nothing else be started.
    libc::SYS_execve,
    // The machine.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
];

/// Older calls that not every architecture has, and some C libraries use.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_time,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[i64] = &[libc::SYS_renameat];
#[cfg(target_arch = "riscv64")]
const OLDER: &[i64] = &[];

/// What may be asked of an open file: copies and flags, but not who is sent a signal about it.
const FILE_CONTROLS: [i32; 6] =
    [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL];

/// Takes every other call from this thread, and from what it becomes.
pub(super) fn confine() -> Result<(), String> {
    let program = filter().map_err(|error| format!("system calls cannot be filtered on this machine: {error}"))?;
    apply_filter(&program).map_err(|error| format!("the kernel takes no filter of system calls: {error}"))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FREE.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_openat, opening(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, opening(1)?);
    rules.insert(libc::SYS_fcntl, FILE_CONTROLS.iter().map(|&asked| equal(1, asked as u64)).collect::<Result<_, _>>()?);
    // Whether it is a terminal, and whether it is closed when a program starts.
    #[allow(clippy::unnecessary_cast, reason = "some C libraries have them in other widths")]
    let controls = [libc::TCGETS as u64, libc::FIOCLEX as u64, libc::FIONCLEX as u64];
    rules.insert(libc::SYS_ioctl, controls.iter().map(|&asked| equal(1, asked)).collect::<Result<_, _>>()?);
    // Its own limits can be read. The new ones, which would be set, are a null pointer.
    let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?;
    let unset = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![own, unset])?]);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refused = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

fn equal(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}

/// Files may be opened, but for two ways: cut to nothing while opened to be read, which the first versions of Landlock do not see; and
/// without a name, which those who look into the folder do not see.
fn opening(argument: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let flags = |mask: i32, value: i32| {
        let masked = SeccompCmpOp::MaskedEq(mask as u64);
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, masked, value as u64)
    };
    let nameless = libc::O_TMPFILE & !libc::O_DIRECTORY;
    let rule = |mask, value| SeccompRule::new(vec![flags(nameless, 0)?, flags(mask, value)?]);
    Ok(vec![rule(libc::O_TRUNC, 0)?, rule(libc::O_ACCMODE, libc::O_WRONLY)?, rule(libc::O_ACCMODE, libc::O_RDWR)?])
}
