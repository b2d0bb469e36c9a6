//! The few strings that repeat in every posting, as one number.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::posting::Posting;

/// Names come from callers when direct model names are allowed: so the memory of them is bounded.
const KEPT: usize = 4096;

/// The ledger thread's memory of `services`.
pub(super) struct Services<'c> {
    known: HashMap<[Arc<str>; 5], i64>,
    find: Statement<'c>,
    insert: Statement<'c>,
}

impl<'c> Services<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            known: HashMap::new(),
            find: conn.prepare(
                "SELECT id FROM services \
                 WHERE api = ?1 AND alias = ?2 AND provider = ?3 AND model = ?4 AND catalogue = ?5",
            )?,
            insert: conn.prepare(
                "INSERT INTO services (api, alias, provider, model, catalogue) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
        })
    }

    /// The number of a posting's names; a row is made for new ones, in the transaction that is open.
    pub(super) fn id(&mut self, conn: &Connection, posting: &Posting) -> rusqlite::Result<i64> {
        let names =
            [&posting.api, &posting.alias, &posting.provider, &posting.model, &posting.catalogue_version];
        let names = names.map(Arc::clone);
        if let Some(id) = self.known.get(&names) {
            return Ok(*id);
        }
        let bound = params![&*names[0], &*names[1], &*names[2], &*names[3], &*names[4]];
        let found = self.find.query_row(bound, |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                self.insert.execute(bound)?;
                conn.last_insert_rowid()
            }
        };
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(names, id);
        Ok(id)
    }

    /// After a rollback: rows that were made in it are gone.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}
