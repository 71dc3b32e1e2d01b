//! Adapters by name: added and removed while requests are served.

use gptneo_model::{Adapter, AdapterId};

use super::Scheduler;
use crate::error::{EngineError, RequestError};

impl Scheduler {
    /// Takes in an adapter, which requests may name from now on.
    ///
    /// # Errors
    /// If there is one of this name, it was made for another model, or there is no room for it.
    pub fn add_adapter(&mut self, name: &str, adapter: &Adapter) -> Result<(), EngineError> {
        if self.adapters.contains_key(name) {
            return Err(EngineError::AdapterNameTaken(name.to_owned()));
        }
        let id = self.model.add_adapter(adapter)?;
        self.adapters.insert(name.to_owned(), id);
        Ok(())
    }

    /// Forgets an adapter, and the beginnings that were kept with it.
    ///
    /// # Errors
    /// If there is none of this name, or requests with it are waiting or being served.
    pub fn remove_adapter(&mut self, name: &str) -> Result<(), EngineError> {
        let id = self.adapter(name)?;
        let tasks = self.live.iter().chain(&self.waiting);
        let requests = tasks.filter(|task| task.terms.adapter == Some(id)).count();
        if requests > 0 {
            return Err(EngineError::AdapterBusy { name: name.to_owned(), requests });
        }
        self.retained.drop_adapter(self.model.as_mut(), id);
        self.model.remove_adapter(id)?;
        self.adapters.remove(name);
        Ok(())
    }

    /// Names of the adapters, in order.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        self.adapters.keys().map(String::as_str)
    }

    /// The adapter of this name.
    pub(crate) fn adapter(&self, name: &str) -> Result<AdapterId, RequestError> {
        self.adapters.get(name).copied().ok_or_else(|| RequestError::UnknownAdapter {
            name: name.to_owned(),
            known: match self.adapters.is_empty() {
                true => "none".to_owned(),
                false => self.adapters().collect::<Vec<_>>().join(", "),
            },
        })
    }
}
