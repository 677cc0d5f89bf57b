-- Two records that are, or may be, of one person: what is asked, what was decided, and what it takes to undo that.

CREATE TABLE person_pair (
    old    TEXT NOT NULL,          -- Patient/id of the record that is given up when they are one
    new    TEXT NOT NULL,          -- Patient/id of the one that remains
    state  TEXT NOT NULL CHECK (state IN ('open', 'joined', 'apart')),
    why    TEXT NOT NULL,          -- what raised the question; none of it is about the person
    party  TEXT NOT NULL,          -- who raised it, later who decided
    at     TEXT NOT NULL,
    reason TEXT,                   -- of whoever decided
    said   BLOB,                   -- the new record and its plan as they came, while it is not here yet (JSON)
    done   BLOB,                   -- what joining did (JSON)
    PRIMARY KEY (old, new)
) WITHOUT ROWID;
CREATE INDEX person_pair_by_new ON person_pair (new, state);

-- Two persons may go by one name at a party that joined them: which of them is meant, the plan says.
DROP INDEX copy_by_remote;
CREATE INDEX copy_by_remote ON copy (party, type, remote_id);
CREATE UNIQUE INDEX copy_has_one_name ON copy (party, type, remote_id) WHERE type <> 'Patient';

CREATE TABLE copy_alias_now (      -- a person that the party joined with another: the name that it went by before
    party     TEXT NOT NULL,
    type      TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    id        TEXT NOT NULL,       -- our id
    version   TEXT NOT NULL,       -- what copy said before, for the case that the party takes the joining back
    sent      INTEGER,
    body      BLOB NOT NULL,
    PRIMARY KEY (party, type, remote_id, id)
) WITHOUT ROWID;
INSERT INTO copy_alias_now SELECT party, type, remote_id, id, version, sent, body FROM copy_alias;
DROP TABLE copy_alias;
ALTER TABLE copy_alias_now RENAME TO copy_alias;
