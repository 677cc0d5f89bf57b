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
SELECT key FROM journal WHERE party = :party AND key = :name
UNION ALL SELECT key FROM journal WHERE party = :party AND key >= :name || '@' AND key < :name || 'A';

-- name: by_id
SELECT id, digest, state, status, plan, receipt, body FROM journal WHERE id = :id;

-- name: parked
-- What could not be applied and waits for a person, and what became of what did.
SELECT j.id, j.party, j.key, j.media_type, j.received, j.plan, j.receipt, j.body, d.word, d.reason, d.at
FROM (SELECT id FROM journal WHERE state = 'parked' UNION SELECT journal FROM parked_decision) w
CROSS JOIN journal j ON j.id = w.id LEFT JOIN parked_decision d ON d.journal = j.id ORDER BY j.id;

-- name: count_parked
SELECT count(*) FROM journal j INDEXED BY journal_parked WHERE j.state = 'parked' AND j.party = :party
    AND NOT EXISTS (SELECT 1 FROM parked_decision d WHERE d.journal = j.id);

-- name: parked_by_id
SELECT j.id, j.party, j.key, j.media_type, j.received, j.plan, j.receipt, j.body, d.word, d.reason, d.at
FROM journal j LEFT JOIN parked_decision d ON d.journal = j.id
WHERE j.id = :id AND (j.state = 'parked' OR d.journal IS NOT NULL);

-- name: has_newer
-- Whether the party has said something of the plan since that was taken.
SELECT 1 FROM record WHERE party = :party AND plan = :plan AND said > :id
UNION ALL SELECT 1 FROM plan_change WHERE plan = :plan AND party = :party AND journal > :id LIMIT 1;

-- name: decide_parked
INSERT INTO parked_decision (journal, word, reason, at) VALUES (:journal, :word, :reason, :at);
