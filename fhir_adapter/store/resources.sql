-- Resources: their versions as bytes, and the index rows that searches read.

-- name: newest
-- Where the numbering of versions and resources stands. Numbers are given by the caller, many at a time.
SELECT (SELECT coalesce(max(seq), 0) FROM version), (SELECT coalesce(max(rid), 0) FROM resource);

-- name: current
-- What a save must know of a resource that it changes.
SELECT rid, seq, version, deleted, owner, plan, fingerprint FROM resource WHERE type = ? AND id = ?;

-- name: version_add
INSERT INTO version (seq, type, id, version, updated, deleted, body) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: resource_add
INSERT INTO resource (rid, type, id, seq, version, owner, plan, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: resource_set
UPDATE resource SET seq = ?, version = ?, deleted = ?, owner = ?, plan = ?, fingerprint = ? WHERE rid = ?;

-- name: read
SELECT v.type, v.id, v.version, v.seq, v.updated, v.deleted, v.body
FROM resource r JOIN version v ON v.seq = r.seq WHERE r.type = ? AND r.id = ?;

-- name: vread
SELECT type, id, version, seq, updated, deleted, body FROM version WHERE type = ? AND id = ? AND version = ?;

-- name: body
SELECT body FROM version WHERE seq = ?;

-- name: as_of
-- Versions of one resource have rising seq, so the highest version up to :seq is the newest then.
SELECT type, id, version, seq, updated, deleted, body
FROM version INDEXED BY version_by_id
WHERE type = :type AND id = :id AND seq <= :seq ORDER BY version DESC LIMIT 1;

-- name: history_of_instance
SELECT type, id, version, seq, updated, deleted, body FROM version INDEXED BY version_by_id
WHERE type = :type AND id = :id AND seq < :before AND updated >= :since ORDER BY version DESC LIMIT :count;

-- name: history_of_type
SELECT type, id, version, seq, updated, deleted, body FROM version INDEXED BY version_by_type
WHERE type = :type AND seq < :before ORDER BY seq DESC LIMIT :count;

-- name: history_of_type_since
-- The instant picks the rows, not the order: a poll reads what is new, however long the history is.
SELECT type, id, version, seq, updated, deleted, body FROM version INDEXED BY version_by_time
WHERE updated >= :since AND type = :type AND seq < :before ORDER BY seq DESC LIMIT :count;

-- name: history
SELECT type, id, version, seq, updated, deleted, body FROM version
WHERE seq < :before ORDER BY seq DESC LIMIT :count;

-- name: history_since
SELECT type, id, version, seq, updated, deleted, body FROM version INDEXED BY version_by_time
WHERE updated >= :since AND seq < :before ORDER BY seq DESC LIMIT :count;

-- name: owner_and_plan
SELECT owner, plan FROM resource WHERE type = ? AND id = ?;

-- name: token_add
INSERT OR IGNORE INTO idx_token (param, code, rid, system) VALUES (?1, ?2, ?4, ?3);

-- name: reference_add
INSERT OR IGNORE INTO idx_reference (param, target, rid, type) VALUES (?1, ?2, ?4, ?3);

-- name: date_add
INSERT OR IGNORE INTO idx_date (param, rid, low, high) VALUES (?1, ?4, ?2, ?3);

-- name: string_add
INSERT OR IGNORE INTO idx_string (param, norm, rid, exact) VALUES (?1, ?2, ?4, ?3);

-- name: uri_add
INSERT OR IGNORE INTO idx_uri (param, uri, rid) VALUES (?1, ?2, ?3);

-- name: quantity_add
INSERT OR IGNORE INTO idx_quantity (param, rid, low, high, system, code, unit) VALUES (?1, ?7, ?2, ?3, ?4, ?5, ?6);

-- name: token_drop
DELETE FROM idx_token WHERE param = ?1 AND code = ?2 AND system = ?3 AND rid = ?4;

-- name: reference_drop
DELETE FROM idx_reference WHERE param = ?1 AND target = ?2 AND type = ?3 AND rid = ?4;

-- name: date_drop
DELETE FROM idx_date WHERE param = ?1 AND low = ?2 AND high = ?3 AND rid = ?4;

-- name: string_drop
DELETE FROM idx_string WHERE param = ?1 AND norm = ?2 AND exact = ?3 AND rid = ?4;

-- name: uri_drop
DELETE FROM idx_uri WHERE param = ?1 AND uri = ?2 AND rid = ?3;

-- name: quantity_drop
DELETE FROM idx_quantity WHERE param = ?1 AND low = ?2 AND high = ?3 AND system = ?4 AND code = ?5 AND unit = ?6 AND rid = ?7;

-- name: index_made_by
SELECT fingerprint FROM idx_made_by;

-- name: index_made_by_set
INSERT INTO idx_made_by (only_row, fingerprint) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint;

-- name: all_current
SELECT rid, seq FROM resource WHERE NOT deleted;

-- name: fingerprint_set
UPDATE resource SET fingerprint = ? WHERE rid = ?;
