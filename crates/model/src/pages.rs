//! Which cache pages each sequence holds: reference-counted, shared after a fork, copied when written.
//!
//! Layers of one reach form a [`Group`] and share one numbering of pages, so a page of a group is a page in the cache of
//! each of its layers. A group of local layers gives back the pages that no later query can see, keeping [`SLACK`]
//! positions for cuts. Nothing here touches the numbers in the pages.

use std::collections::HashSet;

use gptneo_device::{PAGE, Reach};

use crate::language_model::{AdapterId, ModelError, SequenceId};

/// Positions that a local group keeps beyond its window, so that a sequence can be cut back by as many.
const SLACK: usize = PAGE;

/// Layers that share a reach, and so a numbering of pages.
#[derive(Debug)]
pub(crate) struct Group {
    /// What its layers reach.
    pub(crate) reach: Reach,
    free: Vec<u32>,
    /// Sequences that hold each page.
    holders: Vec<u32>,
}

impl Group {
    fn new(reach: Reach, pages: usize) -> Self {
        // Handed out from the end: low pages first.
        Self { reach, free: (0..pages as u32).rev().collect(), holders: vec![0; pages] }
    }

    fn take(&mut self) -> u32 {
        let page = self.free.pop().expect("room was checked before pages are taken");
        self.holders[page as usize] = 1;
        page
    }

    fn drop_page(&mut self, page: u32) {
        let holders = &mut self.holders[page as usize];
        *holders -= 1;
        if *holders == 0 {
            self.free.push(page);
        }
    }

    /// The first page that a sequence of `len` tokens must keep.
    fn first_kept(&self, len: usize) -> usize {
        self.reach.first_key(len).saturating_sub(SLACK) / PAGE
    }
}

/// The pages one sequence holds in one group: page `first + i` of the sequence is `pages[i]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) first: usize,
    pub(crate) pages: Vec<u32>,
}

impl Held {
    fn end(&self) -> usize {
        self.first + self.pages.len()
    }
}

#[derive(Debug)]
struct Sequence {
    len: usize,
    /// What its keys and values were made with: a fork has the same.
    adapter: Option<AdapterId>,
    /// One per group.
    held: Vec<Held>,
}

/// A page whose content must be copied before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageCopy {
    pub(crate) group: usize,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// All sequences and the pages they hold.
#[derive(Debug)]
pub(crate) struct Pages {
    groups: Vec<Group>,
    sequences: Vec<Option<Sequence>>,
    /// Longest piece that [`Pages::grow`] is ever asked for at once.
    piece: usize,
}

impl Pages {
    /// `pages` pages for each of the reaches; sequences grow by at most `piece` tokens at once.
    pub(crate) fn new(reaches: &[Reach], pages: usize, piece: usize) -> Self {
        let groups = reaches.iter().map(|&reach| Group::new(reach, pages)).collect();
        Self { groups, sequences: Vec::new(), piece }
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Pages that are held, and all there are, of all groups.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        let all: usize = self.groups.iter().map(|group| group.holders.len()).sum();
        let free: usize = self.groups.iter().map(|group| group.free.len()).sum();
        (all - free, all)
    }

    pub(crate) fn open(&mut self, adapter: Option<AdapterId>) -> SequenceId {
        let held = vec![Held::default(); self.groups.len()];
        self.add(Sequence { len: 0, adapter, held })
    }

    fn add(&mut self, sequence: Sequence) -> SequenceId {
        let slot = self.sequences.iter().position(Option::is_none).unwrap_or_else(|| {
            self.sequences.push(None);
            self.sequences.len() - 1
        });
        self.sequences[slot] = Some(sequence);
        SequenceId::new(slot as u32)
    }

    fn sequence(&self, id: SequenceId) -> Result<&Sequence, ModelError> {
        self.sequences.get(id.index()).and_then(Option::as_ref).ok_or(ModelError::UnknownSequence(id))
    }

    pub(crate) fn len(&self, id: SequenceId) -> Result<usize, ModelError> {
        self.sequence(id).map(|s| s.len)
    }

    /// The adapter of an open sequence.
    pub(crate) fn adapter(&self, id: SequenceId) -> Option<AdapterId> {
        self.sequence(id).expect("the caller has looked the sequence up").adapter
    }

    /// How many open sequences have this adapter.
    pub(crate) fn with_adapter(&self, adapter: AdapterId) -> usize {
        self.sequences.iter().flatten().filter(|sequence| sequence.adapter == Some(adapter)).count()
    }

    /// The pages of an open sequence in a group.
    pub(crate) fn held(&self, id: SequenceId, group: usize) -> &Held {
        &self.sequence(id).expect("the caller has looked the sequence up").held[group]
    }

    pub(crate) fn close(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(id.index()).and_then(Option::take) else { return };
        for (group, held) in self.groups.iter_mut().zip(sequence.held) {
            held.pages.into_iter().for_each(|page| group.drop_page(page));
        }
    }

    pub(crate) fn can_cut(&self, id: SequenceId, len: usize) -> Result<(), ModelError> {
        let sequence = self.sequence(id)?;
        let refuse = |why| Err(ModelError::BadCut { held: sequence.len, wanted: len, why });
        if len > sequence.len {
            return refuse("the cut lies past the end");
        }
        let reached = |(group, held): (&Group, &Held)| held.first * PAGE <= group.reach.first_key(len);
        if !self.groups.iter().zip(&sequence.held).all(reached) {
            return refuse("the local layers no longer hold the window before it");
        }
        Ok(())
    }

    pub(crate) fn fork(&mut self, id: SequenceId, len: usize) -> Result<SequenceId, ModelError> {
        self.can_cut(id, len)?;
        let &Sequence { adapter, ref held, .. } = self.sequence(id)?;
        let mut held = held.clone();
        for (group, held) in self.groups.iter_mut().zip(&mut held) {
            held.pages.truncate(len.div_ceil(PAGE).saturating_sub(held.first));
            held.pages.iter().for_each(|&page| group.holders[page as usize] += 1);
        }
        Ok(self.add(Sequence { len, adapter, held }))
    }

    pub(crate) fn truncate(&mut self, id: SequenceId, len: usize) -> Result<(), ModelError> {
        self.can_cut(id, len)?;
        let Some(sequence) = self.sequences[id.index()].as_mut() else { return Err(ModelError::UnknownSequence(id)) };
        sequence.len = len;
        for (group, held) in self.groups.iter_mut().zip(&mut sequence.held) {
            let keep = len.div_ceil(PAGE).saturating_sub(held.first);
            for page in held.pages.drain(keep.min(held.pages.len())..) {
                group.drop_page(page);
            }
        }
        Ok(())
    }

    /// Pages that appending `added` tokens may take at most, at any moment while it happens, in `group`.
    fn wanted(&self, group: usize, id: Option<SequenceId>, added: usize) -> usize {
        let none = Held::default();
        let (len, held) = match id.and_then(|id| self.sequence(id).ok()) {
            Some(s) => (s.len, &s.held[group]),
            None => (0, &none),
        };
        if added == 0 {
            return 0;
        }
        let all = (len + added).div_ceil(PAGE).saturating_sub(held.first);
        let most = match self.groups[group].reach {
            Reach::Global => all,
            // The window, the slack, one piece, and a page at either end that is only partly used.
            Reach::Local { window } => all.min((window + SLACK + self.piece) / PAGE + 2),
        };
        let copied = usize::from(!len.is_multiple_of(PAGE) && self.last_is_shared(group, held));
        most.saturating_sub(held.pages.len()) + copied
    }

    fn last_is_shared(&self, group: usize, held: &Held) -> bool {
        held.pages.last().is_some_and(|&page| self.groups[group].holders[page as usize] > 1)
    }

    /// Whether there is room for all of this growth; if not, the pages wanted and free in the group that lacks them.
    pub(crate) fn room(&self, growth: &[(Option<SequenceId>, usize)]) -> Result<(), ModelError> {
        for (index, group) in self.groups.iter().enumerate() {
            // A page shared by several growing sequences is copied for all but one of them; counting a copy for each
            // errs on the safe side.
            let wanted = growth.iter().map(|&(id, added)| self.wanted(index, id, added)).sum();
            if wanted > group.free.len() {
                return Err(ModelError::CacheFull { wanted, free: group.free.len(), page: PAGE });
            }
        }
        Ok(())
    }

    /// Makes room for `added` more tokens, at most a piece; the copies must be done before the pages are written.
    /// Room was checked by [`Pages::room`].
    pub(crate) fn grow(&mut self, id: SequenceId, added: usize, copies: &mut Vec<PageCopy>) {
        debug_assert!(added <= self.piece, "a piece of {added} tokens, at most {}", self.piece);
        let sequence = self.sequences[id.index()].as_mut().expect("the caller has looked the sequence up");
        for (index, (group, held)) in self.groups.iter_mut().zip(&mut sequence.held).enumerate() {
            if held.pages.is_empty() {
                held.first = group.first_kept(sequence.len);
            }
            if let (true, Some(last)) = (!sequence.len.is_multiple_of(PAGE), held.pages.last_mut())
                && group.holders[*last as usize] > 1
            {
                let to = group.take();
                copies.push(PageCopy { group: index, from: *last, to });
                group.drop_page(*last);
                *last = to;
            }
            while held.end() * PAGE < sequence.len + added {
                held.pages.push(group.take());
            }
        }
        sequence.len += added;
    }

    /// Gives back what no later query of the sequence can see. Called when a piece has been computed.
    pub(crate) fn settle(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences[id.index()].as_mut() else { return };
        for (group, held) in self.groups.iter_mut().zip(&mut sequence.held) {
            let unseen = group.first_kept(sequence.len).saturating_sub(held.first).min(held.pages.len());
            held.pages.drain(..unseen).for_each(|page| group.drop_page(page));
            held.first += unseen;
        }
    }

    /// Checks that no sequence appears twice.
    pub(crate) fn distinct(ids: impl Iterator<Item = SequenceId>) -> Result<(), ModelError> {
        let mut seen = HashSet::new();
        for id in ids {
            if !seen.insert(id) {
                return Err(ModelError::RepeatedSequence(id));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Reach = Reach::Local { window: 100 };

    fn pages(count: usize) -> Pages {
        Pages::new(&[Reach::Global, LOCAL], count, 128)
    }

    fn append(pages: &mut Pages, id: SequenceId, mut added: usize) -> Vec<PageCopy> {
        let mut copies = Vec::new();
        pages.room(&[(Some(id), added)]).unwrap();
        while added > 0 {
            let piece = added.min(128);
            pages.grow(id, piece, &mut copies);
            pages.settle(id);
            added -= piece;
        }
        copies
    }

    fn free(pages: &Pages) -> Vec<usize> {
        pages.groups.iter().map(|g| g.free.len()).collect()
    }

    #[test]
    fn a_local_group_keeps_its_window_and_no_more() {
        let mut pages = pages(40);
        let id = pages.open(None);
        append(&mut pages, id, 2000);
        let (global, local) = (pages.held(id, 0).clone(), pages.held(id, 1).clone());
        assert_eq!((global.first, global.pages.len()), (0, 32));
        assert!(local.first * PAGE <= 2001 - 100 - SLACK, "the window and the slack are held");
        assert!(local.pages.len() <= 5, "{} pages", local.pages.len());
        pages.close(id);
        assert_eq!(free(&pages), [40, 40]);
    }

    #[test]
    fn a_fork_shares_pages_until_one_writes() {
        let mut pages = pages(8);
        let a = pages.open(None);
        append(&mut pages, a, 96);
        assert_eq!(free(&pages), [6, 6]);
        let b = pages.fork(a, 80).unwrap();
        assert_eq!(free(&pages), [6, 6]);
        let copies = append(&mut pages, b, 1);
        assert_eq!(copies.len(), 2, "the half-filled page of each group is copied");
        assert_eq!(append(&mut pages, a, 1), [], "the other is then its only holder");
        assert_eq!(pages.held(a, 0).pages[0], pages.held(b, 0).pages[0], "the full page stays shared");
        pages.close(a);
        pages.close(a);
        pages.close(b);
        assert_eq!(free(&pages), [8, 8]);
    }

    #[test]
    fn a_cut_back_by_the_slack_always_works_and_one_before_the_window_is_refused() {
        let mut pages = pages(40);
        let id = pages.open(None);
        append(&mut pages, id, 1000);
        assert!(pages.can_cut(id, 1000 - SLACK).is_ok());
        assert!(pages.can_cut(id, 300).is_err());
        assert!(pages.can_cut(id, 1001).is_err());
        pages.truncate(id, 950).unwrap();
        assert_eq!(pages.len(id).unwrap(), 950);
    }

    #[test]
    fn room_is_refused_before_anything_is_taken() {
        let mut pages = pages(2);
        let id = pages.open(None);
        assert!(pages.room(&[(Some(id), 129)]).is_err());
        assert!(pages.room(&[(Some(id), 64), (None, 65)]).is_err());
        assert!(pages.room(&[(Some(id), 64), (None, 64)]).is_ok());
        assert_eq!(free(&pages), [2, 2]);
    }

    #[test]
    fn cutting_to_nothing_gives_all_back() {
        let mut pages = pages(4);
        let id = pages.open(None);
        append(&mut pages, id, 100);
        pages.truncate(id, 0).unwrap();
        assert_eq!(free(&pages), [4, 4]);
        append(&mut pages, id, 256);
        assert_eq!(pages.len(id).unwrap(), 256);
    }
}
