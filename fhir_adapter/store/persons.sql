-- Two records that are, or may be, of one person.

-- name: ask
-- What was decided is not asked again.
INSERT INTO person_pair (old, new, state, why, party, at, said) VALUES (:old, :new, 'open', :why, :party, :at, :said)
ON CONFLICT (old, new) DO UPDATE SET why = :why, party = :party, at = :at, said = :said WHERE state = 'open';

-- name: withdraw
DELETE FROM person_pair WHERE old = :old AND new = :new AND state = 'open' AND why = :why;

-- name: decide
INSERT INTO person_pair (old, new, state, why, party, at, reason, done)
VALUES (:old, :new, :state, 'asked by hand', :party, :at, :reason, :done)
ON CONFLICT (old, new) DO UPDATE SET state = :state, party = :party, at = :at, reason = :reason, said = NULL,
    done = coalesce(:done, done);

-- name: drop_reversed
DELETE FROM person_pair WHERE old = :new AND new = :old AND state = 'open';

-- name: get
SELECT old, new, state, why, party, at, reason, said, done FROM person_pair WHERE old = :old AND new = :new;

-- name: all
SELECT old, new, state, why, party, at, reason, said, done FROM person_pair ORDER BY at, old, new;

-- name: replaced_by
SELECT new FROM person_pair WHERE old = :old AND state = 'joined';

-- name: ever_linked
-- Whoever this record was joined with here, in either direction, even if that was undone.
SELECT old FROM person_pair WHERE new = :person AND done IS NOT NULL
UNION SELECT new FROM person_pair WHERE old = :person AND done IS NOT NULL;

-- name: plans_of_joined
-- The plans of a person for whom another record was given up.
SELECT m.plan FROM (SELECT 1 FROM person_pair WHERE new = :person AND state = 'joined' LIMIT 1) CROSS JOIN plan_member m
WHERE m.type = 'Patient' AND m.id = :id;

-- name: with_one_number
-- Records that have a number in common: the older one first.
SELECT DISTINCT o.id, n.id FROM idx_token a
JOIN idx_token b ON b.param = a.param AND b.code = a.code AND b.system = a.system AND b.rid > a.rid
JOIN resource o ON o.rid = a.rid JOIN resource n ON n.rid = b.rid
WHERE a.param = :param AND NOT o.deleted AND NOT n.deleted;
