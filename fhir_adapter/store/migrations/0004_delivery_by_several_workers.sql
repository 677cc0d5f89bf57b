-- Several workers on one store: a message may be dropped by a person, and each FHIR party has one row that says how it stands with it.

CREATE TABLE outbox_now (          -- a plan that a FHIR party is to be brought up to date with; written with the change itself
    id       INTEGER PRIMARY KEY,
    plan     TEXT NOT NULL,
    party    TEXT NOT NULL,
    created  TEXT NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'parked', 'dropped')),
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,   -- how many of the attempts the party refused for what was in them
    due      REAL NOT NULL,        -- unix seconds by the database's clock
    lease    REAL NOT NULL DEFAULT 0,
    fence    INTEGER NOT NULL DEFAULT 0,   -- a worker that comes back late with an old fence changes nothing
    problem  TEXT,
    reason   TEXT                  -- why somebody dropped it
);
INSERT INTO outbox_now (id, plan, party, created, state, attempts, due, lease, fence, problem)
SELECT id, plan, party, created, state, attempts, due, lease, fence, problem FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_now RENAME TO outbox;
CREATE INDEX outbox_waiting ON outbox (party, id) WHERE state = 'waiting';
CREATE INDEX outbox_by_plan ON outbox (plan, party, state);

CREATE TABLE side (                -- how it stands with a FHIR party, for all workers together
    party       TEXT PRIMARY KEY,
    failures    INTEGER NOT NULL DEFAULT 0,   -- times in a row that it did not answer or asked for a pause
    rests_until REAL NOT NULL DEFAULT 0,      -- nothing is sent or asked before (unix seconds by the database's clock)
    problem     TEXT,                         -- what the last failure was
    lease       REAL NOT NULL DEFAULT 0,      -- until when one worker alone reads its history
    fence       INTEGER NOT NULL DEFAULT 0,
    checked     REAL NOT NULL DEFAULT 0,      -- when it was last looked whether it still has what we brought
    stopped     TEXT                          -- why nothing is exchanged until somebody says so
) WITHOUT ROWID;

CREATE TABLE copy_alias (          -- a person that the party joined with another: the name that it went by before
    party     TEXT NOT NULL,
    type      TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    id        TEXT NOT NULL,       -- our id
    version   TEXT NOT NULL,       -- what copy said before, for the case that the party takes the joining back
    sent      INTEGER,
    body      BLOB NOT NULL,
    PRIMARY KEY (party, type, remote_id)
) WITHOUT ROWID;

-- The version that a write made over there: whoever reads the history later knows it for ours, however late.
ALTER TABLE remote_write_item ADD COLUMN version TEXT;
CREATE INDEX remote_write_item_by_version ON remote_write_item (type, id, version) WHERE version IS NOT NULL;
