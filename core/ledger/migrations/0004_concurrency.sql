-- Version 4: how many exchanges of a key may be under way at one time (NULL: the gateway's default).

ALTER TABLE keys ADD COLUMN concurrency INTEGER;
