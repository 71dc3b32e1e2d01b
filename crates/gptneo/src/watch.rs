//! Watching a run: a live line, a dashboard, and the curves of both. Consumers of [`gptneo_runs::Event`]s and nothing else,
//! so they serve a run of this process and one that is read from the store alike.

pub(crate) mod curves;
mod dashboard;
mod live;
mod pace;

pub(crate) use dashboard::Tui;
pub(crate) use live::LiveLine;
pub(crate) use pace::duration;
