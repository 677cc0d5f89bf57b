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

-- name: get
SELECT id, plan, reference, path, kind, base, live, other, live_party, other_party, at FROM conflict WHERE id = :id;

-- name: decide
INSERT INTO conflict_decision (conflict, word, party, at, value, reason, until, journal)
VALUES (:conflict, :word, :party, :at, :value, :reason, :until, :journal);

-- name: last_decision
SELECT word, party, at, value, reason, until, journal FROM conflict_decision WHERE conflict = :conflict ORDER BY seq DESC LIMIT 1;
