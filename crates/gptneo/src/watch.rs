//! Watching a run: a live line, a dashboard, and the curves of both. Consumers of [`gptneo_runs::Event`]s and nothing else,
//! so they serve a run of this process and one that is read from the store alike.

mod live;
mod pace;

pub(crate) use live::LiveLine;
