-- The shared plans: their members, their changes in one order, and each party's own copy.

-- name: add
INSERT INTO plan (id, party, source, record, version, change, updated) VALUES (:id, :party, :source, :record, 0, 0, :now);

-- name: get
SELECT id, party, source, record, version, change, updated FROM plan WHERE id = :id;

-- name: of_record
-- The plan that a party knows under a record id, its own one first: others may use the same ids. The index is named
-- because the key begins with the party, too, and without statistics that looks as good: every record it ever sent.
SELECT p.id, p.party, p.source, p.record, p.version, p.change, p.updated
FROM record r INDEXED BY record_by_name CROSS JOIN plan p ON p.id = r.plan WHERE r.party = :party AND r.record = :record
ORDER BY p.party <> :party, r.said IS NULL, p.id LIMIT 1;

-- name: guest_add
INSERT OR IGNORE INTO plan_guest (plan, rid) SELECT ?, rid FROM resource WHERE type = ? AND id = ?;

-- name: guests
-- Not a person, or relative, whom the plan's own party brought with another plan of its own: that one is at home in both.
SELECT r.type, r.id
FROM plan_guest g CROSS JOIN resource r ON r.rid = g.rid CROSS JOIN plan here ON here.id = g.plan
LEFT JOIN plan home ON home.id = r.plan
WHERE g.plan = :plan AND NOT (r.type IN ('Patient', 'RelatedPerson') AND coalesce(home.party, '') = here.party);

-- name: plans_beside
-- The other plans of its party in which a person, or relative, of the plan is at home, too.
SELECT p.id, p.party, p.source, p.record, p.version, p.change, p.updated
FROM plan here CROSS JOIN resource r ON r.type = :type AND r.id = :id CROSS JOIN plan home ON home.id = r.plan
CROSS JOIN plan_member m ON m.type = r.type AND m.id = r.id CROSS JOIN plan p ON p.id = m.plan
WHERE here.id = :plan AND home.party = here.party AND p.party = here.party AND p.id <> here.id ORDER BY p.change;

-- name: members
-- The current version of everything in a plan.
SELECT v.type, v.id, v.seq, v.body
FROM plan_member m CROSS JOIN version v ON v.seq = m.seq
WHERE m.plan = :plan AND NOT v.deleted ORDER BY v.type, v.id;

-- name: members_as_of
-- The plan as it stood when version.seq was :upto.
SELECT v.type, v.id, v.seq, v.body
FROM plan_member m CROSS JOIN version v ON v.seq = (
    SELECT max(seq) FROM version INDEXED BY version_by_resource WHERE rid = m.rid AND seq <= :upto)
WHERE m.plan = :plan AND NOT v.deleted ORDER BY v.type, v.id;

-- name: plans_of_resource
SELECT plan FROM plan_member WHERE type = :type AND id = :id;

-- name: naming
-- A plan with a resource that refers to this one, whether it is here or not. The index begins with the parameter: each
-- one that occurs is looked up by itself, which reads a few rows where a search by target alone would read them all.
WITH RECURSIVE occurring (param) AS (
    SELECT min(param) FROM idx_reference
    UNION ALL
    SELECT (SELECT min(param) FROM idx_reference WHERE param > o.param) FROM occurring o WHERE o.param IS NOT NULL)
SELECT r.plan
FROM resource t CROSS JOIN occurring o
CROSS JOIN idx_reference f ON f.param = o.param AND f.target = t.rid CROSS JOIN resource r ON r.rid = f.rid
WHERE t.type = :type AND t.id = :id AND r.plan IS NOT NULL LIMIT 1;

-- name: change_add
INSERT INTO plan_change (plan, version, party, journal, at, upto) VALUES (:plan, :version, :party, :journal, :at, :upto);

-- name: advance
UPDATE plan SET version = :version, change = :change, updated = :at WHERE id = :plan;

-- name: newest_resource_seq
SELECT coalesce(max(seq), 0) FROM version;

-- name: upto_of_change
SELECT upto FROM plan_change WHERE seq = :seq;

-- name: change_of_version
SELECT seq FROM plan_change WHERE plan = :plan AND version = :version;

-- name: changed_since
-- Plans that changed after a cursor, each once at its newest change, oldest first.
SELECT id, party, source, record, version, change, updated FROM plan WHERE change > :cursor ORDER BY change LIMIT :count;

-- name: changed_since_of_party
-- The same, of those that a party brought or knows, or that name an organisation of these digits (a JSON list).
WITH named (rid) AS (SELECT o.rid FROM json_each(:digits) d CROSS JOIN idx_organisation o ON o.digits = d.value),
known (plan) AS (
    SELECT plan FROM record WHERE party = :party
    UNION SELECT r.plan FROM named n CROSS JOIN resource r ON r.rid = n.rid
    UNION SELECT g.plan FROM named n CROSS JOIN plan_guest g ON g.rid = n.rid)
SELECT p.id, p.party, p.source, p.record, p.version, p.change, p.updated FROM known k CROSS JOIN plan p ON p.id = k.plan
WHERE p.change > :cursor ORDER BY p.change LIMIT :count;

-- name: known_count
-- How many these are, some counted twice, as far as it takes to see that they are many.
WITH named (rid) AS (SELECT o.rid FROM json_each(:digits) d CROSS JOIN idx_organisation o ON o.digits = d.value)
SELECT count(*) FROM (
    SELECT 1 FROM record WHERE party = :party
    UNION ALL SELECT 1 FROM named n CROSS JOIN resource r ON r.rid = n.rid
    UNION ALL SELECT 1 FROM named n CROSS JOIN plan_guest g ON g.rid = n.rid LIMIT :most);

-- name: changed_count
SELECT count(*) FROM (SELECT 1 FROM plan WHERE change > :cursor LIMIT :most);

-- name: newest_change
SELECT coalesce(max(seq), 0) FROM plan_change;

-- name: changed_by
SELECT DISTINCT party FROM plan_change WHERE plan = :plan AND seq > :cursor ORDER BY party;

-- name: record_get
SELECT record, said, shown, said_last, names FROM record WHERE party = :party AND plan = :plan;

-- name: record_said
INSERT INTO record (party, plan, record, said, said_last, names) VALUES (:party, :plan, :record, :said, 1, :names)
ON CONFLICT (party, plan) DO UPDATE SET said = :said, record = :record, said_last = 1, names = :names;

-- name: shown_before
SELECT change FROM shown_before WHERE party = :party AND plan = :plan ORDER BY change DESC;

-- name: keep_shown
-- What it was shown before it spoke is in what it said.
INSERT OR IGNORE INTO shown_before (party, plan, change)
SELECT party, plan, shown FROM record WHERE party = :party AND plan = :plan AND shown < :shown AND NOT said_last;

-- name: forget_shown
DELETE FROM shown_before WHERE party = :party AND plan = :plan;

-- name: record_shown
INSERT INTO record (party, plan, record, shown, said_last) VALUES (:party, :plan, :record, :shown, 0)
ON CONFLICT (party, plan) DO UPDATE SET record = :record, shown = max(coalesce(shown, 0), :shown), said_last = 0;

-- name: instance_get
SELECT value FROM instance WHERE name = :name;

-- name: instance_set
INSERT OR IGNORE INTO instance (name, value) VALUES (:name, :value);

-- name: all
SELECT id, party, source, record, version, change, updated FROM plan ORDER BY change DESC LIMIT :count;

-- name: wrote
-- The party whose change made the current version of a resource.
SELECT c.party FROM resource r JOIN plan_change c ON c.plan = :plan AND c.upto >= r.seq
WHERE r.type = :type AND r.id = :id ORDER BY c.seq LIMIT 1;

-- name: versions_of
-- Every version of a resource, with the party whose change of this plan made it.
SELECT v.body, c.party
FROM resource r CROSS JOIN version v INDEXED BY version_by_resource ON v.rid = r.rid JOIN plan_change c ON c.seq = (
    SELECT min(seq) FROM plan_change WHERE plan = :plan AND upto >= v.seq)
WHERE r.type = :type AND r.id = :id AND NOT v.deleted ORDER BY v.version;

-- name: all_ids
SELECT id FROM plan ORDER BY id;
