-- What waits for somebody is found without reading what is done: such rows are few, and no push or delivery that goes
-- its way writes an entry here.

CREATE INDEX journal_parked ON journal (id) WHERE state = 'parked';
CREATE INDEX outbox_parked ON outbox (party, id) WHERE state = 'parked';
CREATE INDEX copy_alias_by_id ON copy_alias (party, type, id);
