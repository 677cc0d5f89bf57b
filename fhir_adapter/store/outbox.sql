-- What is still to be sent: one claim statement, a lease by the database's clock, a fence that a late worker cannot pass.

-- name: queue
-- A waiting row that nobody works on yet will carry this change as well.
INSERT INTO outbox (plan, party, created, due)
SELECT :plan, :party, :now, (julianday('now') - 2440587.5) * 86400.0
WHERE NOT EXISTS (
    SELECT 1 FROM outbox WHERE plan = :plan AND party = :party AND state = 'waiting'
    AND lease <= (julianday('now') - 2440587.5) * 86400.0);

-- name: claim
-- The oldest row that is due, first in first out per (plan, party). The attempt is counted here, before any work.
UPDATE outbox SET attempts = attempts + 1, fence = fence + 1,
    lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE id IN (
    SELECT o.id FROM outbox o
    WHERE o.state = 'waiting' AND o.party = :party
      AND o.due <= (julianday('now') - 2440587.5) * 86400.0
      AND o.lease <= (julianday('now') - 2440587.5) * 86400.0
      AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.plan = o.plan AND e.party = o.party AND e.state = 'waiting' AND e.id < o.id)
    ORDER BY o.id LIMIT 1)
  AND state = 'waiting'
RETURNING id, plan, party, attempts, fence;

-- name: finish
UPDATE outbox SET state = :state, problem = :problem, lease = 0 WHERE id = :id AND fence = :fence AND state = 'waiting';

-- name: postpone
UPDATE outbox SET due = (julianday('now') - 2440587.5) * 86400.0 + :seconds, lease = 0, problem = :problem
WHERE id = :id AND fence = :fence AND state = 'waiting';

-- name: counts
SELECT party, state, count(*) FROM outbox GROUP BY party, state ORDER BY party, state;

-- name: release
-- After a restart nobody else works on this store: what a dead process had claimed is free at once.
UPDATE outbox SET lease = 0 WHERE state = 'waiting' AND lease > 0;
