-- What was looked for of a write that did arrive, and not found: who is interrupted need not look for it once more.
ALTER TABLE remote_write_item ADD COLUMN is_absent INTEGER NOT NULL DEFAULT 0;  -- 1: it was not there then
