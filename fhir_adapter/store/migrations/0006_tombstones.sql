-- What was taken out of a plan: a late copy that brings the same again does not bring it back by itself.

CREATE TABLE tombstone (
    plan      TEXT NOT NULL,
    reference TEXT NOT NULL,
    path      TEXT NOT NULL,
    removed   TEXT NOT NULL,
    party     TEXT NOT NULL,
    at        TEXT NOT NULL
);
CREATE INDEX tombstone_by_plan ON tombstone (plan);
