//! What people said, in the store: given, listed, taken back.
//!
//! Of a client's name as an argument: `Some` means what came with that key and nothing else, `None` means everything. What is deleted is
//! overwritten, also in the write-ahead log.

use rusqlite::types::Type;
use rusqlite::{Row, TransactionBehavior, params};

use super::Store;
use super::read::unsigned;
use crate::error::RunsError;
use crate::feedback::{
    Asked, FEEDBACK_BYTES, FEEDBACK_SHARES, Feedback, FeedbackKind, FeedbackPage, MOST_FEEDBACK, NewFeedback, Rating,
    Turn,
};
use crate::record::now;

/// Bytes of the entries of one page: the first is always there.
const PAGE_BYTES: usize = 8 << 20;

const ENTRY: &str =
    "SELECT id, time, client, kind, model, rating, prompt, messages, response, better, reason, note FROM feedback";

impl Store {
    /// Keeps what was said, and gives its number.
    ///
    /// # Errors
    /// [`RunsError::BadValue`] for an entry that lacks what its kind is for or is too long, [`RunsError::FeedbackFull`] where there are
    /// too many, [`RunsError::FeedbackShare`] where its client has given too many; as every write.
    pub fn add_feedback(&mut self, said: &NewFeedback) -> Result<i64, RunsError> {
        self.add_feedback_within(said, MOST_FEEDBACK, FEEDBACK_BYTES)
    }

    fn add_feedback_within(&mut self, said: &NewFeedback, most: u64, most_bytes: u64) -> Result<i64, RunsError> {
        said.check()?;
        let path = self.path.clone();
        let sqlite = |error| RunsError::sqlite(&path, error);
        let bytes = said.bytes() as u64;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let sums = "SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE client IS ?1), \
                    coalesce(sum(bytes) FILTER (WHERE client IS ?1), 0) FROM feedback";
        let sums = transaction.query_row(sums, [&said.client], |row| {
            Ok(((unsigned(row, 0)?, unsigned(row, 1)?), (unsigned(row, 2)?, unsigned(row, 3)?)))
        });
        let (all, own) = sums.map_err(sqlite)?;
        let full = |(count, taken): (u64, u64), parts: u64| {
            count >= most.div_ceil(parts) || taken.saturating_add(bytes) > most_bytes.div_ceil(parts)
        };
        if full(all, 1) {
            return Err(RunsError::FeedbackFull { path: path.clone(), count: all.0 });
        }
        if said.client.is_some() && full(own, FEEDBACK_SHARES) {
            return Err(RunsError::FeedbackShare { count: own.0 });
        }
        let (prompt, messages) = match &said.asked {
            Asked::Prompt(prompt) => (Some(prompt.as_str()), None),
            Asked::Messages(turns) => (None, Some(serde_json::to_string(turns).expect("strings can be written"))),
        };
        transaction
            .prepare_cached(
                "INSERT INTO feedback (time, bytes, client, kind, model, rating, prompt, messages, response, better, reason, note) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .and_then(|mut insert| {
                insert.insert(params![
                    now(),
                    bytes as i64,
                    said.client,
                    said.kind.name(),
                    said.model,
                    said.rating.map(i8::from),
                    prompt,
                    messages,
                    said.response,
                    said.better,
                    said.reason,
                    said.note,
                ])
            })
            .map_err(sqlite)?;
        let id = transaction.last_insert_rowid();
        transaction.commit().map_err(sqlite)?;
        Ok(id)
    }

    /// At most `limit` entries before the number `before`, newest first; fewer where they are long.
    ///
    /// # Errors
    /// As every read.
    pub fn feedback_before(
        &self,
        client: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<FeedbackPage, RunsError> {
        let sql = format!("{ENTRY} WHERE id < ?1 AND (?2 IS NULL OR client = ?2) ORDER BY id DESC");
        self.page(&sql, client, before.unwrap_or(i64::MAX), limit)
    }

    /// At most `limit` entries after the number `after`, oldest first; fewer where they are long.
    ///
    /// # Errors
    /// As every read.
    pub fn feedback_after(&self, client: Option<&str>, after: i64, limit: usize) -> Result<FeedbackPage, RunsError> {
        let sql = format!("{ENTRY} WHERE id > ?1 AND (?2 IS NULL OR client = ?2) ORDER BY id");
        self.page(&sql, client, after, limit)
    }

    fn page(&self, sql: &str, client: Option<&str>, from: i64, limit: usize) -> Result<FeedbackPage, RunsError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.error(error))?;
        let mut rows = statement.query(params![from, client]).map_err(|error| self.error(error))?;
        let (mut page, mut bytes) = (FeedbackPage::default(), 0);
        while let Some(row) = rows.next().map_err(|error| self.error(error))? {
            if page.items.len() >= limit || bytes > PAGE_BYTES {
                page.more = true;
                break;
            }
            let entry = entry(row).map_err(|error| self.error(error))?;
            bytes += entry.said.bytes();
            page.items.push(entry);
        }
        Ok(page)
    }

    /// Deletes one entry, and says whether it was there.
    ///
    /// # Errors
    /// As every write.
    pub fn delete_feedback(&mut self, client: Option<&str>, id: i64) -> Result<bool, RunsError> {
        let deleted = self.erase("DELETE FROM feedback WHERE id = ?1 AND (?2 IS NULL OR client = ?2)", id, client)?;
        Ok(deleted > 0)
    }

    /// Deletes all of them, and says how many there were.
    ///
    /// # Errors
    /// As every write.
    pub fn clear_feedback(&mut self, client: Option<&str>) -> Result<usize, RunsError> {
        self.erase("DELETE FROM feedback WHERE id > ?1 AND (?2 IS NULL OR client = ?2)", 0, client)
    }

    fn erase(&mut self, sql: &str, id: i64, client: Option<&str>) -> Result<usize, RunsError> {
        let erase = || -> Result<usize, rusqlite::Error> {
            self.connection.pragma_update(None, "secure_delete", true)?;
            let deleted = self.connection.execute(sql, params![id, client])?;
            // Another reader may keep the log from being cut; it is overwritten later then.
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(deleted)
        };
        erase().map_err(|error| self.error(error))
    }
}

fn entry(row: &Row<'_>) -> Result<Feedback, rusqlite::Error> {
    let bad = |column: usize, why: String| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into());
    let kind: String = row.get(3)?;
    let kind = FeedbackKind::of(&kind).ok_or_else(|| bad(3, format!("the kind `{kind}` is unknown")))?;
    let rating: Option<i64> = row.get(5)?;
    let rating = rating.map(|number| Rating::of(number).ok_or_else(|| bad(5, format!("{number} is no rating"))));
    let asked = match (row.get::<_, Option<String>>(6)?, row.get::<_, Option<String>>(7)?) {
        (Some(prompt), _) => Asked::Prompt(prompt),
        (None, Some(messages)) => {
            let turns: Vec<Turn> = serde_json::from_str(&messages).map_err(|error| bad(7, error.to_string()))?;
            Asked::Messages(turns)
        }
        (None, None) => return Err(bad(6, "feedback on nothing".to_owned())),
    };
    let said = NewFeedback {
        client: row.get(2)?,
        kind,
        model: row.get(4)?,
        asked,
        response: row.get(8)?,
        rating: rating.transpose()?,
        better: row.get(9)?,
        reason: row.get(10)?,
        note: row.get(11)?,
    };
    Ok(Feedback { id: row.get(0)?, when: row.get(1)?, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(response: &str) -> NewFeedback {
        NewFeedback {
            client: Some("shop".into()),
            kind: FeedbackKind::Thumb,
            model: "m".into(),
            asked: Asked::Prompt("p".into()),
            response: response.into(),
            rating: Some(Rating::Up),
            better: None,
            reason: None,
            note: None,
        }
    }

    #[test]
    fn a_full_store_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("runs.sqlite")).unwrap();
        let said = |response: &str| NewFeedback { client: None, ..said(response) };
        store.add_feedback_within(&said("a"), 2, 1000).unwrap();
        let error = store.add_feedback_within(&said(&"x".repeat(1000)), 2, 1000).unwrap_err();
        assert!(matches!(error, RunsError::FeedbackFull { count: 1, .. }), "{error}");
        store.add_feedback_within(&said("b"), 2, 1000).unwrap();
        let error = store.add_feedback_within(&said("c"), 2, 1000).unwrap_err();
        assert!(error.to_string().contains("2 entries"), "{error}");
        assert!(store.delete_feedback(None, 1).unwrap());
        assert_eq!(store.add_feedback_within(&said("c"), 2, 1000).unwrap(), 3, "a number is never given twice");
    }

    #[test]
    fn no_client_fills_the_store_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("runs.sqlite")).unwrap();
        let from = |client: &str, response: &str| NewFeedback { client: Some(client.into()), ..said(response) };
        store.add_feedback_within(&from("shop", "a"), 20, 1000).unwrap();
        let error = store.add_feedback_within(&from("shop", &"x".repeat(100)), 20, 1000).unwrap_err();
        assert!(matches!(error, RunsError::FeedbackShare { count: 1 }), "{error}");
        store.add_feedback_within(&from("shop", "b"), 20, 1000).unwrap();
        let error = store.add_feedback_within(&from("shop", "c"), 20, 1000).unwrap_err();
        assert!(matches!(error, RunsError::FeedbackShare { count: 2 }), "{error}");
        store.add_feedback_within(&from("desk", "c"), 20, 1000).unwrap();
        assert!(store.delete_feedback(Some("shop"), 1).unwrap());
        store.add_feedback_within(&from("shop", "c"), 20, 1000).unwrap();
    }

    #[test]
    fn long_entries_make_short_pages() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("runs.sqlite")).unwrap();
        for _ in 0..12 {
            store.add_feedback(&said(&"x".repeat(1_000_000))).unwrap();
        }
        let page = store.feedback_before(None, None, 50).unwrap();
        assert!(page.more && page.items.len() < 12, "{}", page.items.len());
        let rest = store.feedback_before(None, Some(page.items.last().unwrap().id), 50).unwrap();
        assert!(!rest.more);
        assert_eq!(page.items.len() + rest.items.len(), 12);
    }
}
