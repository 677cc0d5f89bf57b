-- What became of a parked change once somebody had looked: applied, or dropped for a stated reason. The journal row stays.

CREATE TABLE parked_decision (
    journal INTEGER PRIMARY KEY,
    word    TEXT NOT NULL CHECK (word IN ('applied', 'dropped')),
    reason  TEXT,
    at      TEXT NOT NULL
);
