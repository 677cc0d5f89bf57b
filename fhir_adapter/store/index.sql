-- The search index: rows are added and dropped as the caller worked them out.

-- name: body
SELECT body FROM version WHERE seq = ?;

-- name: token_add
INSERT OR IGNORE INTO idx_token (param, code, system, rid) VALUES (?, ?, ?, ?);

-- name: reference_add
INSERT OR IGNORE INTO idx_reference (param, target, rid) VALUES (?, ?, ?);

-- name: date_add
INSERT OR IGNORE INTO idx_date (param, low, high, rid) VALUES (?, ?, ?, ?);

-- name: string_add
INSERT OR IGNORE INTO idx_string (param, norm, exact, rid) VALUES (?, ?, ?, ?);

-- name: uri_add
INSERT OR IGNORE INTO idx_uri (param, uri, rid) VALUES (?, ?, ?);

-- name: quantity_add
INSERT OR IGNORE INTO idx_quantity (param, low, high, system, code, unit, rid) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: organisation_add
INSERT OR IGNORE INTO idx_organisation (digits, rid) VALUES (?, ?);

-- name: token_drop
DELETE FROM idx_token WHERE param = ?1 AND code = ?2 AND system = ?3 AND rid = ?4;

-- name: reference_drop
DELETE FROM idx_reference WHERE param = ?1 AND target = ?2 AND rid = ?3;

-- name: date_drop
DELETE FROM idx_date WHERE param = ?1 AND low = ?2 AND high = ?3 AND rid = ?4;

-- name: string_drop
DELETE FROM idx_string WHERE param = ?1 AND norm = ?2 AND exact = ?3 AND rid = ?4;

-- name: uri_drop
DELETE FROM idx_uri WHERE param = ?1 AND uri = ?2 AND rid = ?3;

-- name: quantity_drop
DELETE FROM idx_quantity WHERE param = ?1 AND low = ?2 AND high = ?3 AND system = ?4 AND code = ?5 AND unit = ?6 AND rid = ?7;

-- name: organisation_drop
DELETE FROM idx_organisation WHERE digits = ?1 AND rid = ?2;

-- name: index_made_by
SELECT fingerprint FROM idx_made_by;

-- name: index_made_by_set
INSERT INTO idx_made_by (only_row, fingerprint) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint;

-- name: all_current
SELECT rid, seq FROM resource WHERE NOT deleted;
