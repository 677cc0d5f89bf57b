-- How it stands with each FHIR party, for all workers together: its circuit, who reads its history, whether it was stopped.

-- name: get
SELECT party, failures, rests_until > (julianday('now') - 2440587.5) * 86400.0,
    max(0.0, rests_until - (julianday('now') - 2440587.5) * 86400.0), problem, stopped
FROM side WHERE party = :party;

-- name: add
INSERT OR IGNORE INTO side (party) VALUES (:party);

-- name: fail
INSERT INTO side (party, failures, rests_until, problem)
VALUES (:party, 1, (julianday('now') - 2440587.5) * 86400.0 + :seconds, :problem)
ON CONFLICT (party) DO UPDATE SET failures = failures + 1, problem = :problem,
    rests_until = max(iif(:tried, 0, rests_until), (julianday('now') - 2440587.5) * 86400.0 + :seconds);

-- name: try_again
-- Half open: of all workers one may try whether the party is back; the others wait for what it finds.
UPDATE side SET rests_until = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE party = :party AND failures > 0 AND rests_until <= (julianday('now') - 2440587.5) * 86400.0;

-- name: recover
UPDATE side SET failures = 0, rests_until = 0, problem = NULL WHERE party = :party AND failures > 0;

-- name: read
-- One worker at a time reads a party: two would take the same version for two different things.
UPDATE side SET fence = fence + 1, lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE party = :party AND lease <= (julianday('now') - 2440587.5) * 86400.0 RETURNING fence;

-- name: reads_still
SELECT 1 FROM side WHERE party = :party AND fence = :fence;

-- name: end_reading
UPDATE side SET lease = 0 WHERE party = :party AND fence = :fence;

-- name: check
-- Whether it is time to look again, and if so, that it was done now.
UPDATE side SET checked = (julianday('now') - 2440587.5) * 86400.0
WHERE party = :party AND checked <= (julianday('now') - 2440587.5) * 86400.0 - :seconds;

-- name: stop
UPDATE side SET stopped = :problem WHERE party = :party AND stopped IS NULL;

-- name: resume
UPDATE side SET stopped = NULL, failures = 0, rests_until = 0, problem = NULL WHERE party = :party AND stopped IS NOT NULL;

-- name: release
-- When nobody else works on this store, what a dead process was reading is free at once, and so is whatever it was
-- trying: the next one asks again whether the party is back.
UPDATE side SET lease = 0, rests_until = 0 WHERE lease > 0 OR rests_until > 0;
