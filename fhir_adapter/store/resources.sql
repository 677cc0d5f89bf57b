-- Resources: their versions as bytes, and the index rows that searches read.

-- name: newest
-- Where the numbering of versions stands: numbers are given by the caller, many at a time.
SELECT coalesce(max(seq), 0) FROM version;

-- name: version_add
-- OR FAIL: undoing half of what one statement inserted is not wanted, who fails undoes its whole work (database.py). It
-- spares SQLite a copy of each page that the statement changes.
INSERT OR FAIL INTO version (seq, rid, type, id, version, updated, deleted, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: resource_add
INSERT OR FAIL INTO resource (rid, type, id, seq, version, deleted, owner, plan) VALUES (?, ?, ?, ?, ?, 0, ?, ?);

-- name: resource_set
UPDATE resource SET seq = ?, version = ?, deleted = ?, owner = ?, plan = ? WHERE rid = ?;

-- name: read
SELECT v.type, v.id, v.version, v.seq, v.updated, v.deleted, v.body
FROM resource r JOIN version v ON v.seq = r.seq WHERE r.type = ? AND r.id = ?;

-- name: vread
SELECT v.type, v.id, v.version, v.seq, v.updated, v.deleted, v.body
FROM resource r JOIN version v ON v.rid = r.rid WHERE r.type = ? AND r.id = ? AND v.version = ?;

-- name: as_of
-- Versions of one resource have rising seq, so the highest version up to :seq is the newest then.
SELECT v.type, v.id, v.version, v.seq, v.updated, v.deleted, v.body
FROM resource r CROSS JOIN version v INDEXED BY version_by_resource ON v.rid = r.rid
WHERE r.type = :type AND r.id = :id AND v.seq <= :seq ORDER BY v.version DESC LIMIT 1;

-- name: history_of_instance
SELECT v.type, v.id, v.version, v.seq, v.updated, v.deleted, v.body
FROM resource r CROSS JOIN version v INDEXED BY version_by_resource ON v.rid = r.rid
WHERE r.type = :type AND r.id = :id AND v.seq < :before AND v.updated >= :since ORDER BY v.version DESC LIMIT :count;

-- name: history_of_type
SELECT type, id, version, seq, updated, deleted, body FROM version INDEXED BY version_by_type
WHERE type = :type AND seq < :before ORDER BY seq DESC LIMIT :count;

-- name: history_of_type_end
-- When the last of a page was made.
SELECT updated FROM version INDEXED BY version_by_type
WHERE type = :type AND seq < :before ORDER BY seq DESC LIMIT 1 OFFSET :count - 1;

-- name: history_end
SELECT updated FROM version WHERE seq < :before ORDER BY seq DESC LIMIT 1 OFFSET :count - 1;

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
