-- Weir's ledger, version 1. Times are Unix milliseconds (UTC), money is nano-dollars, both integers.
-- Strings that repeat are interned (`services`), so that a posting is a short row of integers.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- `retention` is a wish (`zero`, `zero-except-safety`, `days-N`); NULL: none. The strictest of the three rows holds.
CREATE TABLE organisations (
    id         INTEGER PRIMARY KEY,
    uid        TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    retention  TEXT,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE teams (
    id           INTEGER PRIMARY KEY,
    uid          TEXT NOT NULL UNIQUE,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name         TEXT NOT NULL,
    retention    TEXT,
    created_ms   INTEGER NOT NULL,
    UNIQUE (organisation, name)
) STRICT;

-- period: 0 none, 1 day, 2 month (UTC).
CREATE TABLE budgets (
    id     INTEGER PRIMARY KEY,
    spend  INTEGER NOT NULL CHECK (spend >= 0),
    hard   INTEGER NOT NULL CHECK (hard IN (0, 1)),
    period INTEGER NOT NULL CHECK (period IN (0, 1, 2))
) STRICT;

-- `tag` is HMAC-SHA-256(pepper, secret part of the key); the key itself is nowhere.
-- tags: JSON array of [name, value]; scopes, models: JSON arrays of strings (models NULL: all).
CREATE TABLE keys (
    id         INTEGER PRIMARY KEY,
    uid        TEXT NOT NULL UNIQUE,
    tag        BLOB NOT NULL UNIQUE CHECK (length(tag) = 32),
    team       INTEGER NOT NULL REFERENCES teams (id),
    name       TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    rpm        INTEGER,
    budget     INTEGER REFERENCES budgets (id),
    retention  TEXT,
    tags       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    models     TEXT
) STRICT;

-- Holds of hard budgets that are not resolved yet: a row goes when its posting or its correction is written,
-- in the same transaction. `exchange` is a blob of 16 bytes for ids of our own form, else the text.
CREATE TABLE reservations (
    exchange   ANY PRIMARY KEY,
    key        INTEGER NOT NULL REFERENCES keys (id),
    budget     INTEGER NOT NULL REFERENCES budgets (id),
    period     INTEGER NOT NULL,
    hold       INTEGER NOT NULL CHECK (hold >= 0),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- What a posting says of the way it went, interned.
CREATE TABLE services (
    id        INTEGER PRIMARY KEY,
    api       TEXT NOT NULL,
    alias     TEXT NOT NULL,
    provider  TEXT NOT NULL,
    model     TEXT NOT NULL,
    catalogue TEXT NOT NULL,
    UNIQUE (api, alias, provider, model, catalogue)
) STRICT;

-- One row per exchange, never changed. Ids have no gaps: a missing one is a deleted row.
-- cut: what the caller asked for beyond its hold and was not charged. request NULL: same as exchange.
CREATE TABLE postings (
    id                INTEGER PRIMARY KEY,
    exchange          ANY NOT NULL UNIQUE,
    request           TEXT,
    at_ms             INTEGER NOT NULL,
    key               INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    outcome           INTEGER NOT NULL,
    attempts          INTEGER NOT NULL,
    stream            INTEGER NOT NULL,
    usage_source      INTEGER NOT NULL,
    input             INTEGER NOT NULL,
    cached_input      INTEGER NOT NULL,
    cache_write_5m    INTEGER NOT NULL,
    cache_write_1h    INTEGER NOT NULL,
    output            INTEGER NOT NULL,
    reasoning         INTEGER NOT NULL,
    input_audio       INTEGER NOT NULL,
    output_audio      INTEGER NOT NULL,
    image             INTEGER NOT NULL,
    charged           INTEGER NOT NULL,
    provider_cost     INTEGER,
    saved_cached      INTEGER NOT NULL,
    saved_cache       INTEGER NOT NULL,
    generation        INTEGER NOT NULL,
    ttft_ms           INTEGER,
    total_ms          INTEGER NOT NULL,
    budget            INTEGER,
    period            INTEGER,
    cut               INTEGER
) STRICT;

-- kind: 1 expired (nobody resolved the hold in time), 2 released (its exchange ended without a posting).
-- amount is added to the balance of (budget, period); hold is what was let go.
CREATE TABLE corrections (
    id       INTEGER PRIMARY KEY,
    exchange ANY NOT NULL,
    at_ms    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    key      INTEGER NOT NULL,
    budget   INTEGER NOT NULL,
    period   INTEGER NOT NULL,
    hold     INTEGER NOT NULL,
    amount   INTEGER NOT NULL
) STRICT;

CREATE INDEX corrections_exchange ON corrections (exchange);

-- Sums of the rows above, kept in the same transaction, so that a start needs no scan and a check has two sides.
CREATE TABLE balances (
    budget INTEGER NOT NULL REFERENCES budgets (id),
    period INTEGER NOT NULL,
    posted INTEGER NOT NULL,
    PRIMARY KEY (budget, period)
) WITHOUT ROWID, STRICT;

CREATE TABLE totals (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    postings    INTEGER NOT NULL,
    charged     INTEGER NOT NULL,
    corrections INTEGER NOT NULL,
    swept_ms    INTEGER NOT NULL
) STRICT;

CREATE TRIGGER postings_no_update BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
CREATE TRIGGER postings_no_delete BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
CREATE TRIGGER corrections_no_update BEFORE UPDATE ON corrections BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;
CREATE TRIGGER corrections_no_delete BEFORE DELETE ON corrections BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;

INSERT INTO organisations (id, uid, name, created_ms) VALUES (1, 'org_default', 'default', 0);
INSERT INTO teams (id, uid, organisation, name, created_ms) VALUES (1, 'team_default', 1, 'default', 0);
INSERT INTO totals VALUES (1, 0, 0, 0, 0);
