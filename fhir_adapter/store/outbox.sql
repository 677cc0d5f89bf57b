-- What is still to be sent: one claim statement, a lease by the database's clock, a fence that a late worker cannot pass.

-- name: queue
-- A waiting row that nobody works on yet will carry this change as well.
INSERT INTO outbox (plan, party, created, due)
SELECT :plan, :party, :now, (julianday('now') - 2440587.5) * 86400.0
WHERE NOT EXISTS (
    SELECT 1 FROM outbox WHERE plan = :plan AND party = :party AND state = 'waiting'
    AND lease <= (julianday('now') - 2440587.5) * 86400.0);

-- name: claim
-- The oldest row that is due, first in first out per (plan, party), unless the party rests or was stopped. The attempt
-- is counted here, before any work.
UPDATE outbox SET attempts = attempts + 1, fence = fence + 1,
    lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE id IN (
    SELECT o.id FROM outbox o
    WHERE o.state = 'waiting' AND o.party = :party
      AND o.due <= (julianday('now') - 2440587.5) * 86400.0
      AND o.lease <= (julianday('now') - 2440587.5) * 86400.0
      AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.plan = o.plan AND e.party = o.party AND e.state = 'waiting' AND e.id < o.id)
      AND NOT EXISTS (SELECT 1 FROM side s WHERE s.party = o.party
          AND (s.stopped IS NOT NULL OR s.rests_until > (julianday('now') - 2440587.5) * 86400.0))
    ORDER BY o.id LIMIT 1)
  AND state = 'waiting'
RETURNING id, plan, party, attempts, refusals, fence;

-- name: renew
-- Whoever is about to write over there must still be the one, and gets its whole lease for it.
UPDATE outbox SET lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE id = :id AND fence = :fence AND state = 'waiting' AND lease > (julianday('now') - 2440587.5) * 86400.0;

-- name: count_anew
UPDATE outbox SET attempts = 0 WHERE id = :id AND fence = :fence;

-- name: as_it_stands
SELECT id, plan, party, attempts, refusals, fence FROM outbox WHERE id = :id AND fence = :fence;

-- name: finish
UPDATE outbox SET state = :state, problem = :problem, lease = 0 WHERE id = :id AND fence = :fence AND state = 'waiting';

-- name: postpone
UPDATE outbox SET due = (julianday('now') - 2440587.5) * 86400.0 + :seconds, lease = 0, problem = :problem,
    attempts = max(attempts - :forgiven, 0), refusals = refusals + :refused
WHERE id = :id AND fence = :fence AND state = 'waiting';

-- name: overtaken
-- Whoever is up to date has what earlier rows were to bring as well.
UPDATE outbox SET state = 'done', problem = 'a later delivery brought it'
WHERE plan = :plan AND party = :party AND state = 'parked' AND id < :id RETURNING id;

-- name: retry
UPDATE outbox SET state = 'waiting', attempts = 0, refusals = 0, due = 0, lease = 0 WHERE id = :id AND state = 'parked';

-- name: hurry
-- What waits for its next attempt need not wait any longer.
UPDATE outbox SET due = 0 WHERE id = :id AND state = 'waiting';

-- name: drop
UPDATE outbox SET state = 'dropped', reason = :reason, lease = 0 WHERE id = :id AND state IN ('waiting', 'parked')
    AND lease <= (julianday('now') - 2440587.5) * 86400.0;

-- name: get
SELECT id, plan, party, created, state, attempts, due, problem, reason,
    lease > (julianday('now') - 2440587.5) * 86400.0 FROM outbox WHERE id = :id;

-- name: open
-- What is not delivered yet, oldest first.
SELECT id, plan, party, created, state, attempts, due, problem, reason,
    lease > (julianday('now') - 2440587.5) * 86400.0 FROM outbox
WHERE id IN (SELECT id FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting'
    UNION ALL SELECT id FROM outbox INDEXED BY outbox_parked WHERE state = 'parked')
ORDER BY id LIMIT :count;

-- name: newest
SELECT id, plan, party, created, state, attempts, due, problem, reason,
    lease > (julianday('now') - 2440587.5) * 86400.0 FROM outbox ORDER BY id DESC LIMIT :count;

-- name: is_open
SELECT 1 FROM outbox WHERE plan = :plan AND party = :party AND state IN ('waiting', 'parked') LIMIT 1;

-- name: open_count
SELECT (SELECT count(*) FROM outbox INDEXED BY outbox_waiting WHERE party = :party AND state = 'waiting'),
    (SELECT count(*) FROM outbox INDEXED BY outbox_parked WHERE party = :party AND state = 'parked');

-- name: release
-- When nobody else works on this store, what a dead process had claimed is free at once.
UPDATE outbox SET lease = 0 WHERE state = 'waiting' AND lease > 0;
