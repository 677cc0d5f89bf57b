-- What was decided about conflicts, one row after the other; a conflict is open while no row but `later` is there.

CREATE TABLE conflict_decision (
    seq      INTEGER PRIMARY KEY,
    conflict TEXT NOT NULL,
    word     TEXT NOT NULL CHECK (word IN ('keep', 'take', 'write', 'later', 'settled')),
    party    TEXT NOT NULL,        -- who decided; for `settled`, whose ordinary edit said what the other one wanted
    at       TEXT NOT NULL,
    value    TEXT,                 -- JSON: the third value that was written
    reason   TEXT,
    until    TEXT,                 -- the day to which it was put off
    journal  INTEGER NOT NULL
);
CREATE INDEX conflict_decision_by_conflict ON conflict_decision (conflict, seq);
