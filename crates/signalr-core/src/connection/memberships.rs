//! The groups that a connection is in, as the manager's tables remember them.
//!
//! Owns names only; who is in a group is in the tables. A connection may be in very many groups, so leaving one must not
//! look at the others; most are in none, so an empty set costs a pointer.

use std::collections::HashSet;
use std::sync::Arc;

#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "most connections are in no group: a pointer instead of 48 bytes for each"
)]
pub(crate) struct Memberships(Option<Box<HashSet<Arc<str>>>>);

impl Memberships {
    pub(crate) fn add(&mut self, group: Arc<str>) {
        self.0.get_or_insert_default().insert(group);
    }

    pub(crate) fn remove(&mut self, group: &str) {
        if let Some(groups) = &mut self.0 {
            groups.remove(group);
            if groups.is_empty() {
                self.0 = None;
            }
        }
    }
}

impl IntoIterator for Memberships {
    type Item = Arc<str>;
    type IntoIter = std::iter::Flatten<std::option::IntoIter<HashSet<Arc<str>>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|groups| *groups).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_left_without_the_others() {
        let mut groups = Memberships::default();
        for group in ["a", "b", "c", "a"] {
            groups.add(group.into());
        }
        groups.remove("a");
        groups.remove("nowhere");
        let mut left: Vec<_> = groups.into_iter().collect();
        left.sort();
        assert_eq!(left, ["b".into(), "c".into()] as [Arc<str>; 2]);
    }

    #[test]
    fn nothing_is_kept_for_groups_that_were_left() {
        let mut groups = Memberships::default();
        groups.add("a".into());
        groups.remove("a");
        assert!(groups.0.is_none());
    }
}
