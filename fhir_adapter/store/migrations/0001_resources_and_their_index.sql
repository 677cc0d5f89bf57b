-- Every version of every resource as the bytes that a read returns, and what searches find them by.

CREATE TABLE resource (                         -- a name, Type/id, and what it stands for now
    rid         INTEGER PRIMARY KEY,            -- the short form of the name: what belongs together stays together by it
    type        TEXT    NOT NULL,               -- '' with a whole URL as id for what is referred to but lives elsewhere
    id          TEXT    NOT NULL,
    seq         INTEGER NOT NULL,               -- its current version; 0 while it is only referred to
    version     INTEGER NOT NULL,
    deleted     INTEGER NOT NULL,               -- 1 for what is only referred to, too
    owner       TEXT,                           -- the party that brought it
    plan        TEXT,                           -- the plan it came with
    fingerprint BLOB    NOT NULL                -- of its index rows: an edit that changes none of them writes none
);
CREATE UNIQUE INDEX resource_by_id ON resource (type, id);
CREATE INDEX resource_by_type ON resource (type, rid) WHERE NOT deleted;

CREATE TABLE version (
    seq     INTEGER PRIMARY KEY,                -- the order of all changes; no version is ever removed: none comes twice
    rid     INTEGER NOT NULL,
    type    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    version INTEGER NOT NULL,                   -- meta.versionId
    updated TEXT    NOT NULL,                   -- meta.lastUpdated: UTC, milliseconds, Z, so that text order is time order
    deleted INTEGER NOT NULL DEFAULT 0,
    body    BLOB    NOT NULL                    -- FHIR JSON in UTF-8; empty for a deletion
);
CREATE UNIQUE INDEX version_by_resource ON version (rid, version);
CREATE INDEX version_by_type ON version (type, seq);
CREATE INDEX version_by_time ON version (updated, type);

-- The index tables. `param` is the number of a search parameter (fhir/parameters.py). Keys start with what a search
-- knows and go on with rid, so that one value is found in rid order (paging) and one resource is checked in one step.
-- Where it can be they hold numbers that grow: rows of a new plan go to few pages, and a commit writes few.

CREATE TABLE idx_token (                        -- code, Coding, CodeableConcept, Identifier, boolean, ContactPoint
    param  INTEGER NOT NULL,
    code   TEXT    NOT NULL,
    rid    INTEGER NOT NULL,
    system TEXT    NOT NULL,                    -- '' where there is none
    PRIMARY KEY (param, code, rid, system)
) WITHOUT ROWID;

CREATE TABLE idx_reference (
    param  INTEGER NOT NULL,
    target INTEGER NOT NULL,                    -- rid of what is referred to, whether it is here or not
    rid    INTEGER NOT NULL,
    PRIMARY KEY (param, target, rid)
) WITHOUT ROWID;
CREATE INDEX idx_reference_from ON idx_reference (rid, param);

CREATE TABLE idx_date (                         -- 100 ns ticks since year 1, UTC; both ends belong to the range
    param INTEGER NOT NULL,
    rid   INTEGER NOT NULL,
    low   INTEGER NOT NULL,
    high  INTEGER NOT NULL,
    PRIMARY KEY (param, rid, low, high)
) WITHOUT ROWID;

CREATE TABLE idx_string (
    param INTEGER NOT NULL,
    norm  TEXT    NOT NULL,                     -- NFC, without case: what a plain search compares
    rid   INTEGER NOT NULL,
    exact TEXT    NOT NULL,                     -- as it was written: what :exact compares
    PRIMARY KEY (param, norm, rid, exact)
) WITHOUT ROWID;

CREATE TABLE idx_uri (
    param INTEGER NOT NULL,
    uri   TEXT    NOT NULL,
    rid   INTEGER NOT NULL,
    PRIMARY KEY (param, uri, rid)
) WITHOUT ROWID;

CREATE TABLE idx_quantity (                     -- numbers too, without unit
    param  INTEGER NOT NULL,
    rid    INTEGER NOT NULL,
    low    REAL    NOT NULL,
    high   REAL    NOT NULL,
    system TEXT    NOT NULL,
    code   TEXT    NOT NULL,                    -- the coded unit
    unit   TEXT    NOT NULL,                    -- the unit in words
    PRIMARY KEY (param, rid, low, high, system, code, unit)
) WITHOUT ROWID;

CREATE TABLE idx_made_by (                      -- fingerprint of the parameter table that the index was made with
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    fingerprint TEXT NOT NULL
);
