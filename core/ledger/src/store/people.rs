//! Rows of organisations, teams, budgets and keys.

use rusqlite::{Connection, OptionalExtension, Row, params};
use weir_llm::price::Nanos;
use weir_llm::terms::DataClass;

use super::{Changed, People, StoreError, groups};
use crate::account::{Budget, Period};
use crate::people::{DEFAULT_TEAM, KeyRecord, KeyRow, NewKey, Organisation, Team};
use crate::retention;

const KEYS: &str = "SELECT k.id, k.tag, k.uid, k.name, t.uid, o.uid, k.created_ms, k.expires_ms, k.revoked_ms, k.rpm, \
    b.id, b.spend, b.hard, b.period, o.retention, t.retention, k.retention, k.tags, k.scopes, k.models, \
    o.region, t.region, k.region, o.no_training OR t.no_training OR k.no_training, \
    k.concurrency, o.class, t.class, k.class \
    FROM keys k JOIN teams t ON t.id = k.team JOIN organisations o ON o.id = t.organisation \
    LEFT JOIN budgets b ON b.id = k.budget";

/// All keys, oldest first.
pub(super) fn keys(conn: &Connection) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = conn.prepare(&format!("{KEYS} ORDER BY k.id"))?;
    let rows = statement.query_map([], read_key)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The keys for which a condition holds.
pub(super) fn keys_where(conn: &Connection, condition: &str, row: i64) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = conn.prepare(&format!("{KEYS} WHERE {condition} ORDER BY k.id"))?;
    let rows = statement.query_map([row], read_key)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes one change, in the transaction that is open.
pub(super) fn apply(conn: &Connection, change: People, now_ms: i64) -> Result<Changed, StoreError> {
    match change {
        People::Organisation(new) => organisation(conn, &new, now_ms),
        People::Team(new) => team(conn, &new, now_ms),
        People::Edit(group, uid, edit) => groups::edit(conn, group, &uid, &edit),
        People::Key(new, tag, uid) => key(conn, &new, tag, &uid, now_ms),
        People::Revoke(uid) => revoke(conn, &uid, now_ms),
    }
}

fn organisation(conn: &Connection, new: &Organisation, now_ms: i64) -> Result<Changed, StoreError> {
    if conn.prepare("SELECT 1 FROM organisations WHERE name = ?1")?.exists([&new.name])? {
        return Err(StoreError::Exists { what: "organisation", name: new.name.clone() });
    }
    conn.execute(
        "INSERT INTO organisations (uid, name, retention, created_ms, region, no_training, class) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            new.id,
            new.name,
            new.wishes.retention,
            now_ms,
            new.wishes.region,
            new.wishes.no_training,
            new.wishes.class.map(DataClass::name),
        ],
    )?;
    Ok(Changed::Done)
}

fn team(conn: &Connection, new: &Team, now_ms: i64) -> Result<Changed, StoreError> {
    let organisation =
        row_of(conn, "organisation", "SELECT id FROM organisations WHERE uid = ?1", &new.organisation)?;
    let mut taken = conn.prepare("SELECT 1 FROM teams WHERE organisation = ?1 AND name = ?2")?;
    if taken.exists(params![organisation, new.name])? {
        return Err(StoreError::Exists { what: "team", name: new.name.clone() });
    }
    conn.execute(
        "INSERT INTO teams (uid, organisation, name, retention, created_ms, region, no_training, class) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            new.id,
            organisation,
            new.name,
            new.wishes.retention,
            now_ms,
            new.wishes.region,
            new.wishes.no_training,
            new.wishes.class.map(DataClass::name),
        ],
    )?;
    Ok(Changed::Done)
}

fn key(
    conn: &Connection,
    new: &NewKey,
    tag: [u8; 32],
    uid: &str,
    now_ms: i64,
) -> Result<Changed, StoreError> {
    let team = new.team.as_deref().unwrap_or(DEFAULT_TEAM);
    let team = row_of(conn, "team", "SELECT id FROM teams WHERE uid = ?1", team)?;
    let budget = new.budget.map(|budget| {
        conn.execute(
            "INSERT INTO budgets (spend, hard, period) VALUES (?1, ?2, ?3)",
            params![budget.limit.0, budget.hard, budget.period.code()],
        )
        .map(|_| conn.last_insert_rowid())
    });
    let mut tags = new.tags.clone();
    tags.sort();
    conn.execute(
        "INSERT INTO keys (uid, tag, team, name, created_ms, expires_ms, rpm, budget, retention, tags, scopes, models, \
         region, no_training, concurrency, class) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            uid,
            tag,
            team,
            new.name,
            now_ms,
            new.expires_ms,
            new.rpm,
            budget.transpose()?,
            new.wishes.retention,
            json(&tags)?,
            json(&new.scopes)?,
            new.models.as_ref().map(json).transpose()?,
            new.wishes.region,
            new.wishes.no_training,
            new.concurrency,
            new.wishes.class.map(DataClass::name),
        ],
    )?;
    let record = conn.query_row(&format!("{KEYS} WHERE k.uid = ?1"), [uid], read_key)?;
    Ok(Changed::Key(Box::new(record)))
}

/// A second revocation keeps the time of the first.
fn revoke(conn: &Connection, uid: &str, now_ms: i64) -> Result<Changed, StoreError> {
    let key = row_of(conn, "key", "SELECT id FROM keys WHERE uid = ?1", uid)?;
    conn.execute("UPDATE keys SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1", [key, now_ms])?;
    Ok(Changed::Done)
}

pub(super) fn row_of(conn: &Connection, what: &'static str, sql: &str, uid: &str) -> Result<i64, StoreError> {
    let found = conn.query_row(sql, [uid], |row| row.get(0)).optional()?;
    found.ok_or_else(|| StoreError::Missing { what, name: uid.to_owned() })
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let text = |at| row.get::<_, Option<String>>(at);
    let wishes = [text(14)?, text(15)?, text(16)?];
    Ok(KeyRecord {
        row: row.get(0)?,
        tag: row.get(1)?,
        key: KeyRow {
            id: row.get(2)?,
            name: row.get(3)?,
            team: row.get(4)?,
            organisation: row.get(5)?,
            created_ms: row.get(6)?,
            expires_ms: row.get(7)?,
            revoked_ms: row.get(8)?,
            rpm: row.get(9)?,
            concurrency: row.get(24)?,
            budget: read_budget(row)?,
            retention: retention::strictest(wishes.iter().map(Option::as_deref)),
            regions: [text(20)?, text(21)?, text(22)?].into_iter().flatten().collect(),
            no_training: row.get(23)?,
            class: class_of(row, 25)?.max(class_of(row, 26)?).max(class_of(row, 27)?),
            tags: parse(17, &row.get::<_, String>(17)?)?,
            scopes: parse(18, &row.get::<_, String>(18)?)?,
            models: text(19)?.map(|models| parse(19, &models)).transpose()?,
        },
    })
}

/// What cannot be read counts as the most sensitive: the safe side.
pub(super) fn class_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<DataClass>> {
    let name: Option<String> = row.get(at)?;
    Ok(name.map(|name| DataClass::parse(&name).unwrap_or(DataClass::Restricted)))
}

fn read_budget(row: &Row<'_>) -> rusqlite::Result<Option<Budget>> {
    let Some(id) = row.get(10)? else { return Ok(None) };
    let code = row.get(13)?;
    let period = Period::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(13, code))?;
    Ok(Some(Budget { id, limit: Nanos(row.get(11)?), hard: row.get(12)?, period }))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))
}

fn parse<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}
