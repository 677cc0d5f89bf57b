-- What each FHIR party holds, and the writes that were begun there.

-- name: of_party
SELECT c.type, c.id, c.remote_id, c.version, c.sent, c.body
FROM plan_member m CROSS JOIN copy c ON c.party = :party AND c.type = m.type AND c.id = m.id WHERE m.plan = :plan;

-- name: by_remote
SELECT type, id, remote_id, version, sent, body FROM copy WHERE party = :party AND type = :type AND remote_id = :remote_id;

-- name: by_id
SELECT type, id, remote_id, version, sent, body FROM copy WHERE party = :party AND type = :type AND id = :id;

-- name: save
INSERT INTO copy (party, type, id, remote_id, version, sent, body)
VALUES (:party, :type, :id, :remote_id, :version, :sent, :body)
ON CONFLICT (party, type, id) DO UPDATE SET remote_id = :remote_id, version = :version, sent = :sent, body = :body;

-- name: begin
INSERT INTO remote_write (write_id, party, plan, state, started) VALUES (:write_id, :party, :plan, 'pending', :now);

-- name: begin_item
INSERT INTO remote_write_item (write_id, type, id, seq) VALUES (?, ?, ?, ?);

-- name: pending
SELECT write_id, state = 'arrived' FROM remote_write
WHERE party = :party AND plan = :plan AND state IN ('pending', 'arrived');

-- name: item_arrived
-- A later version may still carry the mark, put back by somebody who edited ours: that one is not ours any more.
DELETE FROM remote_write_item WHERE write_id = :write_id AND type = :type AND id = :id;

-- name: items
SELECT type, id, seq FROM remote_write_item WHERE write_id = :write_id;

-- name: end
UPDATE remote_write SET state = :state WHERE write_id = :write_id;

-- name: writes_of
-- Every write to this resource at this party whose outcome was not settled: id and the version of ours it carried.
SELECT i.write_id, i.seq FROM remote_write_item i JOIN remote_write w USING (write_id)
WHERE w.party = :party AND w.state <> 'settled' AND i.type = :type AND i.id = :id;

-- name: watermark_get
SELECT since FROM watermark WHERE party = :party;

-- name: watermark_set
INSERT INTO watermark (party, since) VALUES (:party, :since) ON CONFLICT (party) DO UPDATE SET since = max(since, :since);
