//! What a program may use.

/// The most that one program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLimits {
    /// Whole seconds of CPU time, the interpreter's start included. This is the limit that decides.
    pub cpu_seconds: u64,
    /// Seconds by the clock, for programs that wait: so long that a busy machine does not reach it.
    pub wall_seconds: u64,
    /// Bytes of address space.
    pub memory_bytes: u64,
}

impl Default for CodeLimits {
    fn default() -> Self {
        Self::of_seconds(3)
    }
}

impl CodeLimits {
    /// So many seconds of CPU time, and ten times as many by the clock. Three are the time that HumanEval's own runner gives, by the
    /// clock.
    pub fn of_seconds(cpu_seconds: u64) -> Self {
        Self { cpu_seconds, wall_seconds: cpu_seconds.saturating_mul(10), memory_bytes: 1 << 30 }
    }
}
