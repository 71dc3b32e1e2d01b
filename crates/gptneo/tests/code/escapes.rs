//! Programs that try to break out.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use gptneo_eval::Ran;

use super::{held, ran};

/// What every program begins with: `refused(f, ...)` calls, and fails unless the system says no.
const TRIES: &str = "
import os, sys
def refused(call, *arguments, **named):
    try:
        got = call(*arguments, **named)
    except OSError as problem:
        return problem
    raise AssertionError('%s%r was allowed: %r' % (getattr(call, '__name__', call), arguments, got))
";

fn tries(program: &str) -> String {
    format!("{TRIES}{program}")
}

/// A file that is nobody else's business.
struct Secret {
    dir: tempfile::TempDir,
}

impl Secret {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "the password is swordfish").unwrap();
        Self { dir }
    }

    fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// As a Python text.
    fn quoted(&self) -> String {
        format!("{:?}", self.folder().join("secret").display().to_string())
    }

    /// Whether nothing in its folder was touched.
    fn untouched(&self, before: &fs::Metadata) {
        let path = self.folder().join("secret");
        assert_eq!(fs::read_to_string(&path).unwrap(), "the password is swordfish");
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.mode(), after.mtime(), after.uid()), (before.mode(), before.mtime(), before.uid()));
        assert_eq!(fs::read_dir(self.folder()).unwrap().count(), 1);
    }

    fn about(&self) -> fs::Metadata {
        fs::metadata(self.folder().join("secret")).unwrap()
    }
}

#[test]
fn nothing_is_read() {
    let secret = Secret::new();
    let own = std::process::id();
    held(&tries(&format!(
        "
path = {path}
for name in [path, '/etc/passwd', '/etc/hostname', '/proc/self/environ', '/proc/self/maps', '/proc/{own}/environ',
             '/proc/{own}/mem', '/proc/%d/environ' % os.getppid(), '/proc/1/cmdline', '/dev/tty', '/dev/mem', {launcher:?}]:
    refused(open, name, 'rb')
    refused(os.open, name, os.O_RDONLY)
for name in [os.path.dirname(path), '/', '/root', '/home', '/etc', '/proc', '/proc/{own}/fd', '/dev', '/tmp', '..']:
    refused(os.listdir, name)
here = os.getcwd()
refused(open, os.path.join(here, '..', os.path.basename(os.path.dirname(path)), 'secret'))
# What cannot be opened cannot be had through a descriptor without rights either.
descriptor = os.open(path, os.O_PATH)
refused(os.read, descriptor, 1)
refused(open, '/proc/self/fd/%d' % descriptor)
",
        path = secret.quoted(),
        launcher = super::LAUNCHER,
    )));
}

#[test]
fn nothing_is_written() {
    let secret = Secret::new();
    let before = secret.about();
    held(&tries(&format!(
        "
path = {path}
folder = os.path.dirname(path)
new = os.path.join(folder, 'new')
for mode in ('w', 'a', 'r+', 'x'):
    refused(open, new if mode == 'x' else path, mode)
refused(os.truncate, path, 0)
refused(os.remove, path)
refused(os.chmod, path, 0o777)
refused(os.chown, path, 1, 1)
refused(os.utime, path)
refused(os.rename, path, 'taken')
refused(os.link, path, 'taken')
# The interpreter's own files can be read, and no more than that.
refused(open, os.__file__, 'r+')
refused(open, os.path.join(os.path.dirname(os.__file__), 'nobody_imports_this.txt'), 'w')
open('mine', 'w').write('x')
refused(os.open, 'mine', os.O_RDONLY | os.O_TRUNC)
for call in (os.rename, os.replace, os.link, os.symlink):
    refused(call, 'mine', new)
refused(os.open, folder, os.O_TMPFILE | os.O_RDWR)
refused(os.open, '.', os.O_TMPFILE | os.O_RDWR)
refused(os.mkdir, new)
refused(os.rmdir, folder)
refused(os.mknod, new)
refused(os.mkfifo, new)
refused(open, '/dev/shm/new', 'w')
refused(open, '/tmp/new', 'w')
refused(os.setxattr, path, 'user.new', b'x')
",
        path = secret.quoted()
    )));
    secret.untouched(&before);
}

#[test]
fn a_link_leads_nowhere() {
    let secret = Secret::new();
    held(&tries(&format!(
        "
refused(os.symlink, {path}, 'link')
refused(os.symlink, '/etc/passwd', 'link')
refused(os.mkdir, 'folder')
refused(os.mkfifo, 'pipe')
refused(os.chroot, '.')
refused(os.chdir, '/')
assert os.listdir('.') == []
",
        path = secret.quoted()
    )));
}

#[test]
fn nothing_is_sent() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    tcp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    held(&tries(&format!(
        "
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        refused(socket.socket, family, kind)
refused(socket.socketpair)
refused(socket.create_connection, ('127.0.0.1', {port}))
refused(open, {path:?}, 'r+b')
",
        port = tcp.local_addr().unwrap().port(),
        path = path.display().to_string(),
    )));
    assert!(tcp.accept().is_err() && unix.accept().is_err(), "somebody came");
}

#[test]
fn nobody_else_is_started() {
    held(&tries(
        "
import subprocess, threading
refused(os.fork)
refused(os.forkpty)
refused(os.posix_spawn, sys.executable, [sys.executable, '-c', ''], {})
refused(subprocess.run, [sys.executable, '-c', ''])
refused(subprocess.run, 'true', shell=True)
for program in ('/bin/sh', '/bin/su', '/usr/bin/passwd', '/usr/bin/sudo', '/bin/mount', '/usr/bin/env'):
    refused(os.execv, program, [program])
open('own', 'w').write('#!/bin/sh\\n')
refused(os.chmod, 'own', 0o755)
refused(os.execv, './own', ['own'])
try:
    threading.Thread(target=print).start()
except RuntimeError:
    pass
else:
    raise AssertionError('a thread was started')
",
    ));
}

#[test]
fn nobody_else_is_touched() {
    held(&tries(
        "
import fcntl, resource, signal
parent = os.getppid()
for number in (0, signal.SIGTERM, signal.SIGKILL):
    refused(os.kill, parent, number)
# Of these it is asked alone whether a signal could be sent.
for process in (1, -1, -parent, os.getpid()):
    refused(os.kill, process, 0)
# A signal when a pipe can be read, sent by the kernel to whom the owner of the pipe names.
reader, writer = os.pipe()
for control in (fcntl.F_SETOWN, fcntl.F_SETSIG, fcntl.F_NOTIFY):
    refused(fcntl.fcntl, reader, control, parent)
refused(fcntl.ioctl, reader, 0x8901, parent.to_bytes(4, 'little'))
hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
for raised in ((hard + 100, hard + 100), (resource.RLIM_INFINITY, resource.RLIM_INFINITY), (hard, hard)):
    for call in (lambda: resource.setrlimit(resource.RLIMIT_CPU, raised),
                 lambda: resource.prlimit(parent, resource.RLIMIT_CPU, (0, 0))):
        try:
            call()
        except (OSError, ValueError):
            continue
        raise AssertionError('a limit was set')
refused(os.setpriority, os.PRIO_PROCESS, parent, 19)
refused(os.setuid, 1)
refused(os.setsid)
",
    ));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_kernel_offers_nothing_else() {
    // By number, as machine code would ask: tracing, mounts, name spaces, keys, programs in the kernel, rings, other processes' memory.
    held(
        "
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
calls = {'ptrace': 101, 'mount': 165, 'umount2': 166, 'unshare': 272, 'setns': 308, 'pivot_root': 155, 'chroot': 161,
         'keyctl': 250, 'add_key': 248, 'request_key': 249, 'bpf': 321, 'io_uring_setup': 425, 'io_uring_enter': 426,
         'userfaultfd': 323, 'perf_event_open': 298, 'memfd_create': 319, 'process_vm_readv': 310, 'process_vm_writev': 311,
         'pidfd_open': 434, 'pidfd_getfd': 438, 'pidfd_send_signal': 424, 'open_by_handle_at': 304, 'init_module': 175,
         'finit_module': 313, 'reboot': 169, 'swapon': 167, 'personality': 135,
         'clone': 56, 'fork': 57, 'vfork': 58, 'clone3': 435, 'kill': 62, 'tkill': 200, 'tgkill': 234, 'rt_sigqueueinfo': 129,
         'prctl': 157, 'seccomp': 317, 'socket': 41, 'socketpair': 53, 'connect': 42, 'sendto': 44, 'execveat': 322,
         'openat2': 437, 'shmget': 29, 'msgget': 68, 'semget': 64, 'mq_open': 240, 'capset': 126, 'setrlimit': 160,
         'iopl': 172, 'ioperm': 173, 'fanotify_init': 300, 'inotify_init1': 294, 'quotactl': 179,
         'fallocate': 285, 'copy_file_range': 326, 'truncate': 76, 'chmod': 90, 'fchmod': 91, 'utimensat': 280}
for name, number in calls.items():
    ctypes.set_errno(0)
    answer = libc.syscall(number, 0, 0, 0, 0, 0, 0)
    assert (answer, ctypes.get_errno()) == (-1, errno.ENOSYS), (name, answer, ctypes.get_errno())
# The same with the bit of the other set of numbers.
assert libc.syscall(0x40000000 + 39) == -1
",
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_the_older_machine_are_no_way_out() {
    // `mov eax, 20; int 0x80; ret`: getpid, as a program of 32 bits asks it.
    let ran = ran("
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
assert ctypes.CFUNCTYPE(ctypes.c_int)(address)() < 0
");
    assert!(matches!(ran, None | Some(Ran::Failed(_))), "{ran:?}");
}

#[test]
fn another_program_in_its_place_is_as_confined() {
    let secret = Secret::new();
    let before = secret.about();
    let again = format!("import sys; open({}, 'a').write('x')", secret.quoted());
    // The loader may be started, and may start what it can read: which is nothing but the interpreter.
    for program in [
        format!("import os, sys\nos.execv(sys.executable, [sys.executable, '-S', '-c', {again:?}])"),
        format!(
            "import os, glob\nfor loader in glob.glob('/lib*/ld-linux*') + glob.glob('/usr/lib/*/ld-linux*'):\n    \
             os.execv(loader, [loader, '/bin/sh', '-c', 'echo x >> ' + {}])",
            secret.quoted()
        ),
    ] {
        let ran = ran(&program);
        assert!(matches!(ran, None | Some(Ran::Failed(_))), "{program}\n{ran:?}");
    }
    secret.untouched(&before);
}

#[test]
fn nothing_of_this_process_is_seen() {
    // Cargo gives tests variables; none comes through, nor does an argument or an open file.
    held(&tries(
        "
# Where the interpreter was found with a path of libraries, it is started with it.
assert sorted(set(os.environ) - {'LD_LIBRARY_PATH'}) in (['PYTHONHASHSEED', 'PYTHONSAFEPATH', 'PYTHONUTF8'],
                              ['LC_CTYPE', 'PYTHONHASHSEED', 'PYTHONSAFEPATH', 'PYTHONUTF8']), sorted(os.environ)
assert sys.argv == ['-c'], sys.argv
for descriptor in (0, 1, 2):
    assert os.fstat(descriptor).st_rdev == os.stat('/dev/null').st_rdev, descriptor
for descriptor in range(4, 64):
    refused(os.fstat, descriptor)
",
    ));
}

#[test]
fn what_a_program_needs_is_there() {
    held(
        "
import array, bisect, collections, copy, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq, itertools
import json, math, operator, os, random, re, statistics, string, sys, time, typing
assert hashlib.md5(b'x').hexdigest() == '9dd4e461268c8034f5c8564e155c67a6'
with open('file', 'w') as file:
    file.write('x' * 100)
with open('file') as file:
    assert len(file.read()) == 100
os.rename('file', 'other')
assert os.listdir('.') == ['other']
os.remove('other')
print('printed', file=sys.stderr)
datetime.datetime.now()
random.random()
time.sleep(0.01)
assert __name__ != '__main__'
",
    );
}
