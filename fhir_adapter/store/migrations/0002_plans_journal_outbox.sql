-- The shared plan's own book-keeping: which resources belong to it, what each party said and was shown, what is still to be sent.

CREATE TABLE instance (            -- one row per fact about this installation
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE journal (             -- every change that arrived, as it arrived, once
    id         INTEGER PRIMARY KEY,
    party      TEXT NOT NULL,
    key        TEXT NOT NULL,      -- Idempotency-Key of a push, or Type/id/_history/version read from a FHIR server
    digest     BLOB NOT NULL,      -- SHA-256 of the body: the same key with another body is refused
    media_type TEXT NOT NULL,
    body       BLOB NOT NULL,
    received   TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('applied', 'unchanged', 'refused', 'parked')),
    status     INTEGER NOT NULL,   -- HTTP status of the answer, so that a repeated request gets the same one
    plan       TEXT,
    receipt    TEXT,
    UNIQUE (party, key)
);

CREATE TABLE plan (
    id      TEXT PRIMARY KEY,      -- id of its CarePlan
    party   TEXT NOT NULL,         -- the party that brought it and leads it
    source  TEXT NOT NULL,         -- URI of the system whose business ids it carries
    record  TEXT NOT NULL,         -- its id in that system's own words
    version INTEGER NOT NULL,      -- counts changes of anything in the plan
    change  INTEGER NOT NULL,      -- newest plan_change.seq
    updated TEXT NOT NULL,
    UNIQUE (source, record)
) WITHOUT ROWID;
CREATE INDEX plan_by_change ON plan (change);

CREATE TABLE plan_change (         -- what changed the plan, in one order over all plans: the cursor of a party's feed
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    plan    TEXT NOT NULL,
    version INTEGER NOT NULL,
    party   TEXT NOT NULL,
    journal INTEGER NOT NULL,
    at      TEXT NOT NULL,
    upto    INTEGER NOT NULL       -- newest version.seq that belongs to it: the plan as it was shown can be read again
);
CREATE INDEX plan_change_by_plan ON plan_change (plan, version);

CREATE TABLE plan_member (         -- the resources that make up a plan
    plan TEXT NOT NULL,
    type TEXT NOT NULL,
    id   TEXT NOT NULL,
    PRIMARY KEY (plan, type, id)
) WITHOUT ROWID;
CREATE INDEX plan_member_by_resource ON plan_member (type, id);

CREATE TABLE record (              -- a party's own copy of a plan: the bases of its next merge
    party  TEXT NOT NULL,
    plan   TEXT NOT NULL,
    record TEXT NOT NULL,          -- the id under which the party knows it
    said   INTEGER,                -- journal.id of its newest accepted snapshot
    shown  INTEGER,                -- plan_change.seq it was shown last
    said_last INTEGER NOT NULL,    -- 1: it spoke after it was shown anything
    PRIMARY KEY (party, plan)
) WITHOUT ROWID;
CREATE INDEX record_by_name ON record (party, record);

CREATE TABLE conflict (            -- two values where only one can be live; nothing is thrown away
    id          TEXT PRIMARY KEY,  -- id of the Task that asks for a decision
    plan        TEXT NOT NULL,
    reference   TEXT NOT NULL,
    path        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    base        TEXT,              -- JSON
    live        TEXT,
    other       TEXT,
    live_party  TEXT,
    other_party TEXT NOT NULL,
    journal     INTEGER NOT NULL,
    at          TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX conflict_by_plan ON conflict (plan);

CREATE TABLE outbox (              -- a plan that a FHIR party is to be brought up to date with; written with the change itself
    id       INTEGER PRIMARY KEY,
    plan     TEXT NOT NULL,
    party    TEXT NOT NULL,
    created  TEXT NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'parked')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due      REAL NOT NULL,        -- unix seconds by the database's clock
    lease    REAL NOT NULL DEFAULT 0,
    fence    INTEGER NOT NULL DEFAULT 0,   -- a worker that comes back late with an old fence changes nothing
    problem  TEXT
);
CREATE INDEX outbox_waiting ON outbox (state, due) WHERE state = 'waiting';
CREATE INDEX outbox_by_plan ON outbox (plan, party, state);

CREATE TABLE copy (                -- what a FHIR party holds of a resource: the base of the next merge with it
    party     TEXT NOT NULL,
    type      TEXT NOT NULL,
    id        TEXT NOT NULL,       -- our id
    remote_id TEXT NOT NULL,
    version   TEXT NOT NULL,       -- its versionId there
    sent      INTEGER,             -- version.seq of ours that it was last sent; NULL: it is theirs, never written by us
    body      BLOB NOT NULL,       -- its content there, in our ids
    PRIMARY KEY (party, type, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX copy_by_remote ON copy (party, type, remote_id);

CREATE TABLE remote_write (        -- a write that was begun at a FHIR party; kept, so that its version is known as ours however late it shows up
    write_id TEXT PRIMARY KEY,
    party    TEXT NOT NULL,
    plan     TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('pending', 'arrived', 'settled', 'abandoned')),
    started  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX remote_write_pending ON remote_write (party, plan) WHERE state IN ('pending', 'arrived');

CREATE TABLE remote_write_item (
    write_id TEXT NOT NULL REFERENCES remote_write (write_id),
    type     TEXT NOT NULL,
    id       TEXT NOT NULL,
    seq      INTEGER NOT NULL,     -- version.seq of ours that is being written
    PRIMARY KEY (write_id, type, id)
) WITHOUT ROWID;
CREATE INDEX remote_write_item_by_resource ON remote_write_item (type, id);

CREATE TABLE watermark (           -- how far a FHIR party's history has been read, by its own clock
    party TEXT PRIMARY KEY,
    since TEXT NOT NULL
) WITHOUT ROWID;
