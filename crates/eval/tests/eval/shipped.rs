//! The definitions that ship with the program.

use gptneo_eval::{Catalog, Chosen};

#[test]
fn every_definition_can_be_used() {
    let catalog = Catalog::shipped().unwrap();
    let (names, tags) = catalog.names();
    assert!(names.len() >= 70, "{}", names.len());
    for name in names.into_iter().chain(tags) {
        let chosen = catalog.choose(&[name.to_owned()]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(chosen.iter().any(|chosen| matches!(chosen, Chosen::Task(_))), "{name} holds no task");
    }
}

#[test]
fn every_file_of_the_folder_ships() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_to_string(folder.join("src/catalog/shipped.rs")).unwrap();
    for entry in std::fs::read_dir(folder.join("tasks")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(listed.contains(&format!("include_str!(\"../../tasks/{name}\")")), "{name} is not in shipped.rs");
    }
}
