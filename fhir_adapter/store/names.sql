-- Names of resources: what stands behind them, whether it is here or only referred to.

-- name: newest
SELECT coalesce(max(rid), 0) FROM resource;

-- name: current
-- What a save must know of the resources that it changes.
WITH name (type, id) AS (VALUES (?, ?))
SELECT r.type, r.id, r.rid, r.seq, r.version, r.deleted, r.owner, r.plan
FROM name n CROSS JOIN resource r ON r.type = n.type AND r.id = n.id;

-- name: add
-- Something is referred to that is not here (yet).
INSERT OR FAIL INTO resource (rid, type, id, seq, version, deleted) VALUES (?, ?, ?, 0, 0, 1);
