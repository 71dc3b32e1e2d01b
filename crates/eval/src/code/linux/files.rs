//! The files that are left to a program, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::interpreter::Interpreter;

/// Where the libraries lie that parts of Python's own library want, and the tables of time zones.
const SYSTEM: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
];

/// Takes all other files from this thread, and from what it becomes. Says by what.
pub(super) fn confine(interpreter: &Interpreter, folder: &Path) -> Result<String, String> {
    let status = restricted(interpreter, folder).map_err(|error| {
        format!("the kernel does not confine files (Landlock, Linux 5.13 and later, where it is switched on): {error}")
    })?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. }
            if status.ruleset != RulesetStatus::NotEnforced && status.no_new_privs =>
        {
            Ok(format!("Landlock {}", effective_abi as i32))
        }
        _ => Err("the kernel has no Landlock (Linux 5.13 and later, where it is switched on)".to_owned()),
    }
}

fn restricted(interpreter: &Interpreter, folder: &Path) -> Result<landlock::RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Plain files alone: folders and links would have to be followed by whoever counts and clears them.
    let written = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    Ruleset::default()
        // The first version is what must be; later ones are taken where the kernel has them.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(&interpreter.readable, read))?
        .add_rules(path_beneath_rules(&interpreter.executable, AccessFs::ReadFile | AccessFs::Execute))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules([folder], written))?
        .restrict_self()
}
