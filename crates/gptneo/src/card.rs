//! Model cards: what is known of a model beyond its numbers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use gptneo_engine::ModelName;

use crate::failure::Failure;
use crate::open::Opened;
use crate::pocket;

/// Longest card that is shown, in bytes.
const LONGEST: u64 = 1 << 20;

/// Where a model's card is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Card {
    /// In the program.
    BuiltIn,
    /// Beside the model.
    File(PathBuf),
    /// At the hub, under this address; it did not come with the model.
    Hub(String),
}

impl Card {
    /// The card of a model; `None` for one that has none.
    pub(crate) fn of(opened: &Opened) -> Option<Self> {
        if opened.name == pocket::NAME {
            return Some(Self::BuiltIn);
        }
        let beside = opened.folder().map(|folder| folder.join("README.md")).filter(|path| path.is_file());
        let hub = || match ModelName::parse(&opened.name) {
            Ok(ModelName::Hub(id)) => Some(Self::Hub(format!("https://huggingface.co/{}", id.repo()))),
            _ => None,
        };
        beside.map(Self::File).or_else(hub)
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::BuiltIn => "built in (--card prints it)".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Hub(address) => address.clone(),
        }
    }

    /// Its text, cut where it is longer than a card should be; `None` where it is not here.
    pub(crate) fn text(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::BuiltIn => Ok(Some(pocket::CARD.to_owned())),
            Self::File(path) => read(path).map(Some).map_err(|error| Failure::io("cannot read", path, &error)),
            Self::Hub(_) => Ok(None),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
