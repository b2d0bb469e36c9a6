//! Rows of organisations and teams, as they are listed and changed.

use rusqlite::{Connection, Row, params};
use weir_llm::terms::DataClass;

use super::people::{class_of, keys_where, row_of};
use super::{Changed, StoreError};
use crate::people::{Edit, Group, Organisation, Team};
use crate::wishes::Wishes;

/// All organisations, oldest first.
pub(super) fn organisations(conn: &Connection) -> Result<Vec<Organisation>, StoreError> {
    let mut statement = conn
        .prepare("SELECT uid, name, retention, region, no_training, class FROM organisations ORDER BY id")?;
    let read =
        |row: &Row<'_>| Ok(Organisation { id: row.get(0)?, name: row.get(1)?, wishes: wishes(row, 2)? });
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All teams, oldest first.
pub(super) fn teams(conn: &Connection) -> Result<Vec<Team>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT t.uid, t.name, t.retention, t.region, t.no_training, t.class, o.uid \
         FROM teams t JOIN organisations o ON o.id = t.organisation ORDER BY t.id",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Team { id: row.get(0)?, name: row.get(1)?, wishes: wishes(row, 2)?, organisation: row.get(6)? })
    };
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn wishes(row: &Row<'_>, at: usize) -> rusqlite::Result<Wishes> {
    Ok(Wishes {
        retention: row.get(at)?,
        region: row.get(at + 1)?,
        no_training: row.get(at + 2)?,
        class: class_of(row, at + 3)?,
    })
}

/// Changes one, in the transaction that is open; answers the keys below it as they are then.
pub(super) fn edit(conn: &Connection, group: Group, uid: &str, edit: &Edit) -> Result<Changed, StoreError> {
    let (what, table, below, taken) = match group {
        Group::Organisation => (
            "organisation",
            "organisations",
            "o.id = ?1",
            "SELECT 1 FROM organisations WHERE name = ?1 AND id <> ?2",
        ),
        Group::Team => (
            "team",
            "teams",
            "t.id = ?1",
            "SELECT 1 FROM teams WHERE name = ?1 AND id <> ?2 \
             AND organisation = (SELECT organisation FROM teams WHERE id = ?2)",
        ),
    };
    let row = row_of(conn, what, &format!("SELECT id FROM {table} WHERE uid = ?1"), uid)?;
    let set = |column: &str, value: &dyn rusqlite::ToSql| {
        conn.execute(&format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1"), params![row, value])
    };
    if let Some(name) = &edit.name {
        if conn.prepare(taken)?.exists(params![name, row])? {
            return Err(StoreError::Exists { what, name: name.clone() });
        }
        set("name", name)?;
    }
    if let Some(retention) = &edit.retention {
        set("retention", retention)?;
    }
    if let Some(region) = &edit.region {
        set("region", region)?;
    }
    if let Some(no_training) = &edit.no_training {
        set("no_training", no_training)?;
    }
    if let Some(class) = &edit.class {
        set("class", &class.map(DataClass::name))?;
    }
    Ok(Changed::Keys(keys_where(conn, below, row)?))
}
