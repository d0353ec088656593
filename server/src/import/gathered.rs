//! Users whose devices stand in rows of their own: each user once, where their first row stands.

use std::collections::HashMap;

use sidekey_core::{id::UserId, import::ImportedUser};

use super::{Place, Read, Refusal};

/// What was gathered so far.
#[derive(Debug, Default)]
pub struct Gathered {
    reads: Vec<Read>,
    indices: HashMap<UserId, usize>,
}

impl Gathered {
    /// The user with this name, to whom the row at `place` adds something; `None` if no user can have the name, which is noted.
    pub fn user(&mut self, name: &str, place: Place) -> Option<&mut ImportedUser> {
        let Ok(user) = UserId::parse(name) else {
            self.refuse(place, Refusal::UserId);
            return None;
        };
        let next = self.reads.len();
        let index = *self.indices.entry(user.clone()).or_insert(next);
        if index == next {
            self.reads.push(Read { place, outcome: Ok(ImportedUser::new(user)) });
        }
        self.reads.get_mut(index)?.outcome.as_mut().ok()
    }

    /// The user with this name, if any row was theirs.
    pub fn known(&mut self, name: &str) -> Option<&mut ImportedUser> {
        let index = *self.indices.get(&UserId::parse(name).ok()?)?;
        self.reads.get_mut(index)?.outcome.as_mut().ok()
    }

    /// Notes that nobody can be read at `place`.
    pub fn refuse(&mut self, place: Place, refusal: Refusal) {
        self.reads.push(Read { place, outcome: Err(refusal) });
    }

    /// All of them.
    pub fn into_reads(self) -> Vec<Read> {
        self.reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Unit, testing::file};

    #[test]
    fn each_user_stands_once_where_the_first_row_is() {
        let file = file("rows", "");
        let mut gathered = Gathered::default();
        for (row, name) in ["ann", "", "bob", "ann"].iter().enumerate() {
            gathered.user(name, file.at(Unit::Row, row + 1));
        }
        assert!(gathered.known("bob").is_some() && gathered.known("eve").is_none());
        let reads = gathered.into_reads();
        let names: Vec<_> =
            reads.iter().map(|read| read.outcome.as_ref().map(|user| user.user.as_str())).collect();
        assert_eq!(names, [Ok("ann"), Err(&Refusal::UserId), Ok("bob")]);
        assert_eq!(reads[2].place, file.at(Unit::Row, 3));
    }
}
