-- Version 3: where content may go, and whether anybody may train on it. `region` is a list of names with commas between
-- them (NULL: anywhere); the lists of organisation, team and key all hold. `no_training` 1: nobody may.

ALTER TABLE organisations ADD COLUMN region      TEXT;
ALTER TABLE organisations ADD COLUMN no_training INTEGER NOT NULL DEFAULT 0;
ALTER TABLE teams         ADD COLUMN region      TEXT;
ALTER TABLE teams         ADD COLUMN no_training INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys          ADD COLUMN region      TEXT;
ALTER TABLE keys          ADD COLUMN no_training INTEGER NOT NULL DEFAULT 0;
