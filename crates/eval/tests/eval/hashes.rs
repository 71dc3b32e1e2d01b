//! Requests against those of the reference harness, by the digests that its own tests keep.
//!
//! There, documents are shuffled by Python's generator with the seed 42, and the digest is over all pairs of context and continuation; a
//! task that asks for a likelihood and whether it is greedy asks twice.

use std::path::{Path, PathBuf};

use gptneo_eval::data::Library;
use gptneo_eval::{Catalog, Mersenne, Options, json_dumps, requests};
use sha2::{Digest, Sha256};

/// The data that is not part of the project; `None` where it is not there, which is said.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: {} is not there", folder.display());
    None
}

/// How often a request stands in the list.
#[derive(Clone, Copy)]
enum Asked {
    Once,
    Twice,
}

fn check(name: &str, task: &str, asked: Asked) {
    let Some(shared) = shared() else { return };
    let mut catalog = Catalog::shipped().unwrap();
    catalog.include(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eval/v0.yaml")).unwrap();
    let library = Library { folders: vec![shared.clone()], ..Library::default() };
    let chosen = catalog.choose(&[task.to_owned()]).unwrap();
    let (_, mut documents) = requests(chosen, &library, &Options::default()).unwrap().remove(0);
    Mersenne::new(42).shuffle(&mut documents);
    let times = match asked {
        Asked::Once => 1,
        Asked::Twice => 2,
    };
    let all = documents.into_iter().flat_map(|requests| vec![requests; times]).flatten().collect();
    let digest: String = Sha256::digest(json_dumps(&serde_json::Value::Array(all)).as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let file = shared.join(format!("eval/harness-testdata/{name}-loglikelihood"));
    assert_eq!(digest, std::fs::read_to_string(file).unwrap().trim(), "{task} against {name}");
}

#[test]
fn lambada() {
    check("lambada-v0", "lambada_openai", Asked::Twice);
    check("lambada_openai-v0", "lambada_openai", Asked::Twice);
}

#[test]
fn questions_of_sciences() {
    check("piqa-v0", "piqa", Asked::Once);
    check("arc_easy-v0", "arc_easy", Asked::Once);
    check("arc_challenge-v0", "arc_challenge", Asked::Once);
    check("pubmedqa-v0", "pubmedqa_v0", Asked::Once);
}

#[test]
fn what_follows_and_what_it_means() {
    check("winogrande-v0", "winogrande", Asked::Once);
    check("copa-v0", "copa_single_space", Asked::Once);
    check("rte-v0", "rte", Asked::Once);
    check("cb-v1", "cb_v1", Asked::Once);
    check("mrpc-v0", "mrpc_v0", Asked::Once);
    check("sst-v0", "sst_v0", Asked::Once);
    check("boolq-v0", "boolq_v0", Asked::Once);
    check("boolq-v1", "boolq_v1", Asked::Once);
}

#[test]
fn sums() {
    for part in ["1dc", "2da", "2dm", "2ds", "3da", "3ds", "4da", "4ds", "5da", "5ds"] {
        check(&format!("arithmetic_{part}-v0"), &format!("arithmetic_{part}"), Asked::Once);
    }
}
