-- What was looked for of a write that did arrive, and not found: who is interrupted need not look for it once more.
ALTER TABLE remote_write_item ADD COLUMN is_absent INTEGER NOT NULL DEFAULT 0;  -- 1: it was not there then

-- The version at a FHIR party that we wrote last, beside the one that was seen last: a write vouches for nothing before it.
ALTER TABLE watermark ADD COLUMN written TEXT NOT NULL DEFAULT '';     -- its key in the journal, '' none
ALTER TABLE watermark ADD COLUMN written_at TEXT NOT NULL DEFAULT '';  -- when it was made, by the party's clock
