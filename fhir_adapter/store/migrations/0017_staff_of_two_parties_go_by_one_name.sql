-- A server's own record of somebody with an HSA id stands for those that several municipalities have of that one.

DROP INDEX copy_has_one_name;
CREATE UNIQUE INDEX copy_has_one_name ON copy (party, type, remote_id) WHERE type NOT IN ('Patient', 'Practitioner');
