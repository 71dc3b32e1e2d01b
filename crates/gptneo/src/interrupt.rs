//! Ctrl-C: where work looks at it, the first stops cleanly and the second exits at once; elsewhere the first exits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::failure::{Failure, Kind};
use crate::terminal;

/// Whether the user has pressed Ctrl-C.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
    /// How much work looks at it now.
    heeded: Arc<AtomicUsize>,
}

/// While this lives, the work at hand looks at the interrupt by itself.
pub(crate) struct Heeded(Arc<AtomicUsize>);

impl Drop for Heeded {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// Takes over Ctrl-C for the rest of the program.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn install() -> Result<Self, Failure> {
        let interrupt = Self::default();
        let Self { pressed, heeded } = interrupt.clone();
        let handler = move || {
            if pressed.swap(true, Ordering::SeqCst) || heeded.load(Ordering::SeqCst) == 0 {
                leave_at_once();
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::because(Kind::Internal, &error))?;
        Ok(interrupt)
    }

    /// Says that what follows looks at the interrupt, until the value is dropped.
    #[must_use]
    pub(crate) fn heed(&self) -> Heeded {
        self.heeded.fetch_add(1, Ordering::SeqCst);
        Heeded(Arc::clone(&self.heeded))
    }

    /// Set while it is pressed: for libraries that look now and then.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.pressed)
    }

    /// Whether it was pressed since [`Interrupt::forget`].
    pub(crate) fn pressed(&self) -> bool {
        self.pressed.load(Ordering::SeqCst)
    }

    /// Goes on after a clean stop: the next press is a first one again.
    pub(crate) fn forget(&self) {
        self.pressed.store(false, Ordering::SeqCst);
    }

    /// # Errors
    /// [`Kind::Interrupted`] if it was pressed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.pressed() { Err(Failure::interrupted()) } else { Ok(()) }
    }
}

#[allow(clippy::exit, reason = "asked for; whatever is half written is under a temporary name")]
fn leave_at_once() {
    terminal::say("interrupted");
    std::process::exit(i32::from(Kind::Interrupted.code()));
}
