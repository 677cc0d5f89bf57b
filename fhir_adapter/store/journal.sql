-- What arrived, as it arrived, once.

-- name: enter
-- A row before anything is decided; the caller closes it in the same transaction.
INSERT INTO journal (party, key, digest, media_type, body, received, state, status)
VALUES (:party, :key, :digest, :media_type, :body, :received, :state, :status);

-- name: close
UPDATE journal SET state = :state, status = :status, plan = :plan, receipt = :receipt WHERE id = :id;

-- name: by_key
SELECT id, digest, state, status, plan, receipt, body FROM journal WHERE party = :party AND key = :key;

-- name: keys_of
-- Keys of one name, with or without what follows an @ ('A' is the character after it).
SELECT key FROM journal WHERE party = :party AND (key = :name OR (key >= :name || '@' AND key < :name || 'A'));

-- name: by_id
SELECT id, digest, state, status, plan, receipt, body FROM journal WHERE id = :id;

-- name: parked
-- What could not be applied and waits for a person, and what became of what did.
SELECT j.id, j.party, j.key, j.media_type, j.received, j.plan, j.receipt, j.body, d.word, d.reason, d.at
FROM journal j LEFT JOIN parked_decision d ON d.journal = j.id
WHERE j.state = 'parked' OR d.journal IS NOT NULL ORDER BY j.id;

-- name: newer_of_record
-- What the party has said of the plan since, and was taken.
SELECT count(*) FROM journal
WHERE party = :party AND plan = :plan AND id > :id AND state IN ('applied', 'unchanged');

-- name: decide_parked
INSERT INTO parked_decision (journal, word, reason, at) VALUES (:journal, :word, :reason, :at);
