-- Two values where one can be live, and what was decided about them.

-- name: add
INSERT OR IGNORE INTO conflict (id, plan, reference, path, kind, base, live, other, live_party, other_party, journal, at)
VALUES (:id, :plan, :reference, :path, :kind, :base, :live, :other, :live_party, :other_party, :journal, :at);

-- name: of_plan
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict
WHERE plan = :plan ORDER BY at, id;

-- name: open_of_plan
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict c
WHERE plan = :plan AND NOT EXISTS (SELECT 1 FROM conflict_decision d WHERE d.conflict = c.id AND d.word <> 'later')
ORDER BY at, id;

-- name: all
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict ORDER BY at, id;

-- name: open
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict c
WHERE NOT EXISTS (SELECT 1 FROM conflict_decision d WHERE d.conflict = c.id AND d.word <> 'later')
ORDER BY at, id;

-- name: open_removals
SELECT reference, id FROM conflict c INDEXED BY conflict_about_removal
WHERE other_party = :party AND path = '' AND other IS NULL
    AND NOT EXISTS (SELECT 1 FROM conflict_decision d WHERE d.conflict = c.id AND d.word <> 'later');

-- name: plans_deleted_and_asked
-- The plan of each thing that a FHIR party deleted and does not have again (copies.py: Copy.is_deleted), and a question is open about it.
SELECT c.plan FROM conflict c INDEXED BY conflict_about_removal CROSS JOIN copy k ON k.party = c.other_party
    AND k.type = substr(c.reference, 1, instr(c.reference, '/') - 1) AND k.id = substr(c.reference, instr(c.reference, '/') + 1)
WHERE c.other_party = :party AND c.path = '' AND c.other IS NULL
    AND k.sent IS NULL AND k.version NOT IN ('', 'theirs') AND k.body = x'7b7d'
    AND NOT EXISTS (SELECT 1 FROM conflict_decision d WHERE d.conflict = c.id AND d.word <> 'later');

-- name: get
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict WHERE id = :id;

-- name: repoint
UPDATE conflict SET reference = :new WHERE plan = :plan AND reference = :old;

-- name: decide
INSERT INTO conflict_decision (conflict, word, party, at, value, reason, until, journal)
VALUES (:conflict, :word, :party, :at, :value, :reason, :until, :journal);

-- name: last_decision
SELECT word, party, at, value, reason, until, journal FROM conflict_decision WHERE conflict = :conflict ORDER BY seq DESC LIMIT 1;
