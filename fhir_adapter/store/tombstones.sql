-- What was taken out of a plan.

-- name: add
INSERT INTO tombstone (plan, reference, path, removed, party, at) VALUES (?, ?, ?, ?, ?, ?);

-- name: of_plan
SELECT reference, path, removed, party, at FROM tombstone WHERE plan = ? ORDER BY rowid;
