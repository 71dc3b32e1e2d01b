//! Lying sizes are refused before memory is asked for: the tables of lies pass again in a process that has little.

/// Runs the tests of other modules with at most `MIB` of address space.
#[test]
#[cfg(target_os = "linux")]
fn the_hostile_tables_pass_in_half_a_gibibyte() {
    const MIB: usize = 512;
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("ulimit -v {} && exec \"$0\" \"$@\"", MIB * 1024)])
        .arg(this)
        .args([
            "--test-threads=1",
            "lying",
            "bomb",
            "refuses_what_is_not_stored",
            "overflow",
            "refuses_sizes",
            "nesting",
        ])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!report.contains("running 0 tests") && report.contains("lying_header_lengths"), "{report}");
}
