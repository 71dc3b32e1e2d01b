//! Requests of whole sets against those of lm-evaluation-harness 0.4.13, by digests over all of them (`choices.py requests`).

use gptneo_eval::data::Library;
use gptneo_eval::{Catalog, Options, json_dumps, requests};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::shared;

fn check(task: &str, count: usize, wanted: &str) {
    let Some(shared) = shared() else { return };
    let library = Library { folders: vec![shared], ..Library::default() };
    let chosen = Catalog::shipped().unwrap().choose(&[task.to_owned()]).unwrap();
    let (_, documents) = requests(chosen, &library, &Options::default()).unwrap().remove(0);
    // Texts alone: a request to generate also says how.
    let texts = |request: Value| -> Value {
        request.as_array().unwrap().iter().filter(|part| part.is_string()).cloned().collect()
    };
    let all: Vec<Value> = documents.into_iter().flatten().map(texts).collect();
    assert_eq!(all.len(), count, "{task}");
    let digest = Sha256::digest(json_dumps(&Value::Array(all)).as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, wanted, "{task}");
}

#[test]
fn whom_a_pronoun_means() {
    check("winogender_all", 1440, "56f87fb3c98ac7aa0e87ec8d09a6a844cdb271a01f93d3207d7b1bafe85d83e8");
    check("winogender_female", 480, "98dcd8e1a3b37adec3cb4e2172b885398549621ba81b2da893297b1b42d66572");
}

#[test]
fn people_of_two_groups() {
    check("bbq_age", 44160, "2a22b48814635c10b1dc6492ce7a65f9a437e9380290fabc5ecf8ee48710c962");
    check("bbq_generate_physical_appearance", 1576, "2b0791b90b896b1512a5d081a72d445ac47412ca9f8abe32ce479686ffc06ee4");
}
