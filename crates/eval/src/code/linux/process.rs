//! A child that is waited for within limits, and what it says.

use std::io::{self, PipeReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// What is kept of what a child says; the rest is read and dropped, so that it can go on.
pub(super) const KEPT: usize = 64 << 10;
/// How often limits are looked at.
const STEP: Duration = Duration::from_millis(20);

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, or by a limit that the kernel holds.
    Itself(ExitStatus),
    /// Killed: too long by the clock.
    Late,
    /// Killed, for what the caller saw.
    Stopped,
}

/// A child that is no more.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) end: End,
    /// What it said, on both outputs, of that the beginning.
    pub(super) said: Vec<u8>,
}

/// Runs a command to its end, at most for `wall`, and until `stop` says so.
pub(super) fn run(mut command: Command, wall: Duration, stop: &mut dyn FnMut() -> bool) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let began = Instant::now();
    let mut child = command.spawn()?;
    // With its ends of the pipe: the reader sees the end when the child has closed its own.
    drop(command);
    let said = Arc::new(Mutex::new(Vec::new()));
    let (ended, watched) = channel::<()>();
    let kept = Arc::clone(&said);
    thread::spawn(move || {
        drain(reader, &kept);
        drop(ended);
    });
    let waited = wait(&mut child, began, wall, stop, &|step| {
        if watched.recv_timeout(step) == Err(RecvTimeoutError::Disconnected) {
            // The child is about to end, or has closed its outputs and goes on.
            thread::sleep(Duration::from_millis(1));
        }
    });
    let end = match waited {
        Ok(end) => end,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    // What was said last may still be in the pipe; somebody else who holds it open is not waited for.
    let _ = watched.recv_timeout(Duration::from_secs(1));
    let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ended { end, said })
}

fn wait(
    child: &mut Child,
    began: Instant,
    wall: Duration,
    stop: &mut dyn FnMut() -> bool,
    pause: &dyn Fn(Duration),
) -> io::Result<End> {
    let pid = Pid::from_child(child);
    loop {
        pause(STEP);
        // Not reaped yet, so that the number is still the child's when its session is killed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let gone = waitid(WaitId::Pid(pid), options)?.is_some();
        let end = if gone {
            None
        } else if began.elapsed() > wall {
            Some(End::Late)
        } else if stop() {
            Some(End::Stopped)
        } else {
            continue;
        };
        // A child that leads no group has none to be killed.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = child.kill();
        let status = child.wait()?;
        return Ok(end.unwrap_or(End::Itself(status)));
    }
}

fn drain(mut reader: PipeReader, kept: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = KEPT - kept.len();
                kept.extend_from_slice(&bytes[..count.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, wall: Duration) -> Ended {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, wall, &mut || false).unwrap()
    }

    #[test]
    fn both_outputs_and_the_status_come_back() {
        let ended = shell("echo one; echo two >&2; exit 3", Duration::from_secs(60));
        assert_eq!(ended.said, b"one\ntwo\n");
        assert!(matches!(ended.end, End::Itself(status) if status.code() == Some(3)), "{:?}", ended.end);
    }

    #[test]
    fn much_output_is_read_and_little_kept() {
        let ended = shell("head -c 1000000 /dev/zero; echo end", Duration::from_secs(60));
        assert_eq!(ended.said.len(), KEPT);
        assert!(matches!(ended.end, End::Itself(status) if status.success()), "{:?}", ended.end);
    }

    #[test]
    fn a_child_that_stays_is_killed() {
        let began = Instant::now();
        // Its outputs closed, so that nothing is left to be read.
        assert_eq!(shell("exec >&- 2>&-; sleep 60", Duration::from_millis(100)).end, End::Late);
        let mut command = Command::new("/bin/sleep");
        command.arg("60");
        let mut looks = 0;
        let ended = run(command, Duration::from_secs(60), &mut || {
            looks += 1;
            looks > 2
        });
        assert_eq!(ended.unwrap().end, End::Stopped);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
