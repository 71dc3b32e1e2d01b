//! Programs that use more than they may, and programs that end as they should not.

use std::time::{Duration, Instant};

use gptneo_eval::Ran;
use gptneo_eval::code::CodeLimits;

use super::{fails, held, ran};

/// A second of CPU time, and time enough by the clock for a machine that is busy.
const SHORT: CodeLimits = CodeLimits { cpu_seconds: 1, wall_seconds: 60, memory_bytes: 1 << 30 };

#[test]
fn an_endless_loop_ends() {
    fails("while True: pass", SHORT, "1 s of CPU time");
    // One that does not heed the signal meets the limit behind it.
    fails("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", SHORT, "CPU time");
}

#[test]
fn a_program_that_waits_ends() {
    let limits = CodeLimits { wall_seconds: 4, ..SHORT };
    fails("import time\ntime.sleep(1000)", limits, "4 s by the clock");
    // One that has closed all that it was watched by.
    fails("import os, time\nos.closerange(0, 100)\ntime.sleep(1000)", limits, "4 s by the clock");
}

#[test]
fn memory_ends() {
    // Little of it, so that filling it takes no second.
    let limits = CodeLimits { memory_bytes: 256 << 20, ..SHORT };
    fails("x = bytearray(1 << 40)", limits, "MemoryError");
    fails("x = []\nwhile True: x.append(bytearray(1 << 24))", limits, "MemoryError");
}

#[test]
fn bombs_do_not_go_off() {
    fails("import os\nfor n in range(3): os.fork()", SHORT, "OSError");
    fails(
        "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()",
        SHORT,
        "RuntimeError",
    );
    fails(
        "import os, sys\nos.execv(sys.executable, [sys.executable, '-S', '-c', 'while True: pass'])",
        SHORT,
        "CPU time",
    );
    fails("def f(n): return f(n + 1)\nf(0)", SHORT, "RecursionError");
    fails("import sys\nsys.setrecursionlimit(10 ** 9)\nf = lambda n: [f(n + 1)]\nf(0)", SHORT, "");
}

#[test]
fn endless_output_ends() {
    fails("while True: print('x' * 10000)", SHORT, "CPU time");
    // On whatever is open, the report included.
    let flood = "import os\nwhile True:\n    for d in range(64):\n        try: os.write(d, b'x' * 10000)\n        except OSError: pass";
    fails(flood, SHORT, "CPU time");
}

#[test]
fn disks_are_not_filled() {
    fails("with open('big', 'wb') as file:\n    while True: file.write(b'x' * (1 << 20))", SHORT, "OSError");
    fails("import os\nf = open('big', 'wb')\nos.ftruncate(f.fileno(), 1 << 40)", SHORT, "OSError");
    // They stop by themselves, and wait to be seen.
    let many = |count: usize, bytes: usize| {
        format!(
            "import time\nfor n in range({count}):\n    with open(str(n), 'wb') as file: file.write(b'x' * {bytes})\n\
             time.sleep(1000)"
        )
    };
    fails(&many(70, 1 << 20), SHORT, "files written");
    fails(&many(1100, 0), SHORT, "files written");
}

#[test]
fn an_end_before_the_end_is_no_pass() {
    for (program, says) in [
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import os\nos._exit(0)", "within itself"),
        ("import os\nos.abort()", "within itself"),
        ("import ctypes\nctypes.string_at(0)", "within itself"),
        ("exit()", "NameError"),
        ("input('number? ')", "EOFError"),
        ("print('passed')\nassert False", "AssertionError"),
        (
            "import os\nfor d in range(64):\n    try: os.write(d, b'\\npassed\\n')\n    except OSError: pass\nos._exit(0)",
            "within itself",
        ),
        ("def f(:", "SyntaxError"),
        ("x = 1\n\0", ""),
        ("class E(Exception):\n    def __str__(self): raise E\nraise E", "E"),
        ("raise ValueError('x' * 10 ** 7)", "ValueError: xxx"),
        ("raise ValueError('\\ud800')", "ValueError"),
    ] {
        fails(program, CodeLimits::default(), says);
    }
}

#[test]
fn odd_programs_run() {
    held("");
    held("# ä 漢 \u{1f600}\nassert 'ä' == '\\xe4'");
    held(&"x = 1\n".repeat(20_000));
    held("import atexit\natexit.register(print, 'later')");
    // What a program does to what the runner uses of the library.
    held(
        "import os, sys, builtins\nos.write = os._exit = None\nsys.stdout = sys.stderr = None\nbuiltins.str = builtins.type = None",
    );
}

#[test]
fn sets_are_the_same_in_every_run() {
    let program = "assert False, ''.join(set('abcdefghijklmnopqrstuvwxyz'))";
    let Some(first) = ran(program) else { return };
    assert!(matches!(first, Ran::Failed(_)));
    assert_eq!(ran(program), Some(first));
}

#[test]
fn a_program_that_passes_does_not_wait() {
    let began = Instant::now();
    for _ in 0..5 {
        held("assert True");
    }
    // A limit by the clock, but of a hundred times what it takes.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}
