//! Organisations and teams: listed, and changed for every key below them.

use crate::ledger::Ledger;
use crate::people::{Edit, Group, Organisation, Team};
use crate::store::{Changed, People, StoreError};

impl Ledger {
    /// All organisations, oldest first. Reads the database.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list_organisations(&self) -> Result<Vec<Organisation>, StoreError> {
        self.store().organisations()
    }

    /// All teams, oldest first. Reads the database.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list_teams(&self) -> Result<Vec<Team>, StoreError> {
        self.store().teams()
    }

    /// Gives an organisation or a team another name or other wishes. They hold for every key below it from its next
    /// request on; exchanges under way end as they began. Limits and budgets go on as they are. Blocks for one commit.
    ///
    /// # Errors
    /// If there is none of that id, the name is taken, or a wish is not valid.
    pub fn edit(&self, group: Group, id: &str, edit: Edit) -> Result<(), StoreError> {
        if let Some(problem) = edit.problem() {
            return Err(StoreError::Invalid(problem));
        }
        let _turn = self.turn();
        if let Changed::Keys(records) = self.change(People::Edit(group, id.to_owned(), edit))? {
            self.directory().rewish(records);
        }
        Ok(())
    }
}
