-- What arrived, as it arrived, once.

-- name: enter
-- A row before anything is decided; the caller closes it in the same transaction.
INSERT INTO journal (party, key, digest, media_type, body, received, state, status)
VALUES (:party, :key, :digest, :media_type, :body, :received, :state, :status);

-- name: close
UPDATE journal SET state = :state, status = :status, plan = :plan, receipt = :receipt WHERE id = :id;

-- name: by_key
SELECT id, digest, state, status, plan, receipt, body FROM journal WHERE party = :party AND key = :key;

-- name: by_id
SELECT id, digest, state, status, plan, receipt, body FROM journal WHERE id = :id;

-- name: parked
-- What could not be applied and waits for a person.
SELECT id, party, key, received, plan FROM journal WHERE state = 'parked' ORDER BY id;
