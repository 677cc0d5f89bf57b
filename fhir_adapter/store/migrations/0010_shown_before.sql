CREATE TABLE shown_before (        -- what a party was shown since it spoke last, but for the newest (record.shown)
    party  TEXT    NOT NULL,
    plan   TEXT    NOT NULL,
    change INTEGER NOT NULL,       -- plan_change.seq
    PRIMARY KEY (party, plan, change)
) WITHOUT ROWID;
