-- What a plan brought itself is found by resource.plan; only its guests, at home in another plan, are listed.
-- A new plan wrote a row and an index entry for each of its resources here, which said nothing that was not known.

ALTER TABLE resource DROP COLUMN fingerprint;

CREATE TABLE plan_guest (
    plan TEXT    NOT NULL,
    rid  INTEGER NOT NULL,
    PRIMARY KEY (plan, rid)
) WITHOUT ROWID;
CREATE INDEX plan_guest_by_resource ON plan_guest (rid);

INSERT INTO plan_guest (plan, rid)
SELECT m.plan, r.rid FROM plan_member m JOIN resource r ON r.type = m.type AND r.id = m.id WHERE r.plan IS NOT m.plan;
DROP TABLE plan_member;

CREATE INDEX resource_by_plan ON resource (plan) WHERE plan IS NOT NULL AND type NOT IN ('AuditEvent', 'Provenance');

CREATE VIEW plan_member (plan, rid, type, id, seq) AS       -- the resources that make up a plan
SELECT plan, rid, type, id, seq FROM resource
WHERE plan IS NOT NULL AND type NOT IN ('AuditEvent', 'Provenance')   -- who wrote and who looked is told beside it
UNION ALL
SELECT g.plan, r.rid, r.type, r.id, r.seq FROM plan_guest g JOIN resource r ON r.rid = g.rid;
