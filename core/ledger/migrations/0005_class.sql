-- Version 5: how sensitive content is (`public`, `internal`, `confidential`, `restricted`; NULL: not said). The most
-- sensitive of the three rows holds.

ALTER TABLE organisations ADD COLUMN class TEXT;
ALTER TABLE teams         ADD COLUMN class TEXT;
ALTER TABLE keys          ADD COLUMN class TEXT;
