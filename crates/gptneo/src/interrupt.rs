//! Ctrl-C: the first stops cleanly, the second exits at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Kind};

/// Whether the user has pressed Ctrl-C.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over Ctrl-C for the rest of the program.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn install() -> Result<Self, Failure> {
        let interrupt = Self::default();
        let pressed = Arc::clone(&interrupt.pressed);
        let second = move || {
            if pressed.swap(true, Ordering::SeqCst) {
                leave_at_once();
            }
        };
        ctrlc::set_handler(second).map_err(|error| Failure::because(Kind::Internal, &error))?;
        Ok(interrupt)
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

#[allow(clippy::exit, reason = "the user has asked twice; nothing is half written that a rename would not hide")]
fn leave_at_once() {
    std::process::exit(i32::from(Kind::Interrupted.code()));
}
