-- Version 2: what is not counted in tokens. `images` were made (`image` are input tokens), `seconds` of audio heard.
-- A constant default is told to the old rows without touching them, so that append-only holds.

ALTER TABLE postings ADD COLUMN images       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE postings ADD COLUMN seconds      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE postings ADD COLUMN characters   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE postings ADD COLUMN search_units INTEGER NOT NULL DEFAULT 0;
