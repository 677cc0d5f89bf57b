-- What each FHIR party holds, and the writes that were begun there.

-- name: of_party
SELECT c.type, c.id, c.remote_id, c.version, c.sent, c.body, c.made
FROM plan_member m CROSS JOIN copy c ON c.party = :party AND c.type = m.type AND c.id = m.id WHERE m.plan = :plan;

-- name: by_remote
-- Where a person goes by another one's name there: the one whose record it is. The index is named because the key begins
-- with party and type as well, and without statistics that looks as good: everything of the type that the party holds.
SELECT type, id, remote_id, version, sent, body, made FROM copy INDEXED BY copy_by_remote
WHERE party = :party AND type = :type AND remote_id = :remote_id
ORDER BY sent IS NULL, version = '', id LIMIT 1;

-- name: named
-- All persons who go by this name there.
SELECT type, id, remote_id, version, sent, body, made FROM copy INDEXED BY copy_by_remote
WHERE party = :party AND type = :type AND remote_id = :remote_id
ORDER BY id;

-- name: named_in
SELECT c.type, c.id, c.remote_id, c.version, c.sent, c.body, c.made
FROM copy c INDEXED BY copy_by_remote
WHERE c.party = :party AND c.type = :type AND c.remote_id = :remote_id
    AND EXISTS (SELECT 1 FROM plan_member m WHERE m.plan = :plan AND m.type = c.type AND m.id = c.id)
ORDER BY c.sent IS NULL, c.version = '', c.id;

-- name: hand_over
UPDATE copy SET id = :to WHERE party = :party AND type = :type AND id = :id AND version = 'theirs'
AND NOT EXISTS (SELECT 1 FROM copy o WHERE o.party = :party AND o.type = :type AND o.id = :to);

-- name: by_alias
-- A name that the party has given up: it joined that person with another one.
SELECT c.type, c.id, c.remote_id, c.version, c.sent, c.body, c.made FROM copy_alias a CROSS JOIN copy c USING (party, type, id)
WHERE a.party = :party AND a.type = :type AND a.remote_id = :remote_id ORDER BY c.id LIMIT 1;

-- name: is_joined
-- Whether the party joined it with another one.
SELECT 1 FROM copy_alias WHERE party = :party AND type = :type AND id = :id;

-- name: record_of
-- The name of a person's own record there, whatever the person goes by.
SELECT coalesce(
    (SELECT min(remote_id) FROM copy_alias INDEXED BY copy_alias_by_id WHERE party = :party AND type = :type AND id = :id),
    (SELECT remote_id FROM copy WHERE party = :party AND type = :type AND id = :id));

-- name: join
INSERT OR REPLACE INTO copy_alias (party, type, remote_id, id, version, sent, body)
SELECT party, type, remote_id, id, version, sent, body FROM copy WHERE party = :party AND type = :type AND id = :id;

-- name: part
DELETE FROM copy_alias WHERE party = :party AND type = :type AND remote_id = :remote_id RETURNING id, version;

-- name: by_id
SELECT type, id, remote_id, version, sent, body, made FROM copy WHERE party = :party AND type = :type AND id = :id;

-- name: held
-- What the party was left with, whoever wrote it or deleted it.
SELECT type, id, remote_id, version, sent, body, made FROM copy WHERE party = :party AND version NOT IN ('', 'lost');

-- name: types_held
WITH RECURSIVE held (type) AS (
    SELECT min(type) FROM copy WHERE party = :party
    UNION ALL
    SELECT (SELECT min(type) FROM copy WHERE party = :party AND type > h.type) FROM held h WHERE h.type IS NOT NULL)
SELECT type FROM held WHERE type IS NOT NULL;

-- name: held_from
-- What the party was left with, from a place in the order of type and id on.
SELECT type, id, remote_id, version, sent, body, made FROM copy
WHERE party = :party AND (type, id) >= (:type, :id) AND version NOT IN ('', 'lost') ORDER BY type, id LIMIT :count;

-- name: compare_again
UPDATE copy SET sent = 0 WHERE party = :party AND sent IS NOT NULL
AND (type, id) IN (SELECT type, id FROM plan_member WHERE plan = :plan);

-- name: compare_what_is_under_way
-- By the resources that it carries: of writes there are many more.
UPDATE remote_write_item SET seq = 0 WHERE version IS NULL AND (write_id, type, id) IN (
    SELECT i.write_id, i.type, i.id FROM plan_member m
    CROSS JOIN remote_write_item i INDEXED BY remote_write_item_by_resource ON i.type = m.type AND i.id = m.id
    CROSS JOIN remote_write w ON w.write_id = i.write_id
    WHERE m.plan = :plan AND w.plan = :plan AND w.party = :party);

-- name: forget
DELETE FROM copy WHERE party = :party AND type = :type AND id = :id;

-- name: count
SELECT count(*) FROM (SELECT 1 FROM copy WHERE party = :party AND sent IS NOT NULL LIMIT :most);

-- name: save
INSERT INTO copy (party, type, id, remote_id, version, sent, body, made)
VALUES (:party, :type, :id, :remote_id, :version, :sent, :body, :made)
ON CONFLICT (party, type, id)
DO UPDATE SET remote_id = :remote_id, version = :version, sent = :sent, body = :body, made = :made;

-- name: begin
INSERT INTO remote_write (write_id, party, plan, state, started) VALUES (:write_id, :party, :plan, 'pending', :now);

-- name: begin_item
INSERT INTO remote_write_item (write_id, type, id, seq) VALUES (?, ?, ?, ?);

-- name: pending
SELECT write_id, state = 'arrived' FROM remote_write
WHERE party = :party AND plan = :plan AND state IN ('pending', 'arrived');

-- name: item_arrived
-- Only the first version that carries the mark is ours: later ones were made by somebody who left it in.
UPDATE remote_write_item SET version = :version
WHERE write_id = :write_id AND type = :type AND id = :id AND version IS NULL;

-- name: items
-- What a write carried and nobody has seen over there yet.
SELECT type, id, seq, is_absent FROM remote_write_item WHERE write_id = :write_id AND version IS NULL;

-- name: item_is_absent
UPDATE remote_write_item SET is_absent = 1 WHERE write_id = :write_id AND type = :type AND id = :id;

-- name: left_by
SELECT c.type, c.id, c.remote_id, c.version, c.sent, c.body, c.made
FROM remote_write w CROSS JOIN remote_write_item i ON i.write_id = w.write_id
CROSS JOIN copy c ON c.party = w.party AND c.type = i.type AND c.id = i.id AND c.version = i.version
WHERE w.write_id = :write_id;

-- name: settle
UPDATE remote_write SET state = 'settled' WHERE write_id = :write_id AND state <> 'settled';

-- name: abandon
-- Not if a part of it was seen meanwhile.
UPDATE remote_write SET state = 'abandoned' WHERE write_id = :write_id AND state = 'pending';

-- name: note_arrival
-- Of a write that was settled already, a part that shows up later is no news.
UPDATE remote_write SET state = 'arrived' WHERE write_id = :write_id AND state <> 'settled';

-- name: writes_of
-- Every write to this resource at this party that was not seen there yet: id and the version of ours it carried.
SELECT i.write_id, i.seq FROM remote_write_item i JOIN remote_write w USING (write_id)
WHERE w.party = :party AND i.version IS NULL AND i.type = :type AND i.id = :id;

-- name: made
-- The writes of ours that made this version there: more than one where numbers began anew.
SELECT i.write_id FROM remote_write_item i JOIN remote_write w USING (write_id)
WHERE w.party = :party AND i.type = :type AND i.id = :id AND i.version = :version;

-- name: watermark_get
SELECT since FROM watermark WHERE party = :party;

-- name: watermark_set
INSERT INTO watermark (party, since) VALUES (:party, :since) ON CONFLICT (party) DO UPDATE SET since = max(since, :since);

-- name: landmarks
SELECT landmark, landmark_at, written, written_at FROM watermark WHERE party = :party;

-- name: landmark_seen
UPDATE watermark SET landmark = :key, landmark_at = :at WHERE party = :party;

-- name: landmark_written
UPDATE watermark SET written = :key, written_at = :at WHERE party = :party;
