-- What a party deleted was never given again before, whatever had been decided: its plans are compared with it once more.

INSERT INTO outbox (plan, party, created, due)
SELECT DISTINCT m.plan, c.party, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), (julianday('now') - 2440587.5) * 86400.0
FROM copy c CROSS JOIN plan_member m ON m.type = c.type AND m.id = c.id
WHERE c.sent IS NULL AND c.version NOT IN ('', 'theirs') AND c.body = x'7b7d';
